"""
Nothing outlives a test run, not even one that is killed.

`python -m services.reaper FOLDER` waits until its standard input ends, which happens when the process at the other
end of the pipe is gone for whatever reason, and then kills every process that a `.process` file below FOLDER names.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from services.daemon import Daemon


def kill_recorded(folder: Path) -> None:
    """Kill every process that a `.process` file below `folder` names, with all that it started."""
    for path in folder.rglob("*.process"):
        Daemon(path.stem, path.parent).kill()


@contextlib.contextmanager
def reaping(folder: Path) -> Iterator[None]:
    """Have everything below `folder` killed when this Python process ends, or the block does."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    command = [sys.executable, "-m", "services.reaper", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, start_new_session=True):
        yield


if __name__ == "__main__":
    sys.stdin.read()
    kill_recorded(Path(sys.argv[1]))
