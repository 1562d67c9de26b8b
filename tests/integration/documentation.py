"""Running the code of a page of the documentation as it is printed."""

import os
import re
import subprocess
import sys
from pathlib import Path

from botocore.client import BaseClient

from services.stack import ROOT, PrivateStack

PAGES = ROOT / "docs"
PROCESS_SECONDS = 60


def run_as_printed(page: str, stack: PrivateStack, kms: BaseClient, folder: Path) -> None:
    """Make the keys that a page tells to make, and run all its Python, in `folder`, as one program."""
    text = (PAGES / page).read_text()
    pages = list(kms.get_paginator("list_aliases").paginate())
    known = {alias["AliasName"] for listed in pages for alias in listed["Aliases"]}
    for alias in re.findall(r"kmsq key create --alias (\S+)", text):
        if alias not in known:
            stack.run("kmsq", "key", "create", "--alias", alias, environment={"KMSQ_AMQP_URL": stack.administrator_url})
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join([*blocks, 'print("all of it")'])],
        cwd=folder,
        env={"KMSQ_AMQP_URL": stack.administrator_url, "HOME": str(folder), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=PROCESS_SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "all of it\n"
