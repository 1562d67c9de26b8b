"""
Make requirements/dev.txt from pyproject.toml (no arguments), or check that it is up to date (`--check`).

The check needs no network: the lock's first lines carry a digest of everything in pyproject.toml that it was made
from. No committed file names a registry's host or a local folder; the lock is made without pip's configuration.
"""

import hashlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements" / "dev.txt"
COMMAND = [
    *("uv", "pip", "compile", "pyproject.toml", "--all-extras", "--group", "dev"),
    *("--universal", "--python-version", "3.11", "--generate-hashes", "--upgrade"),
    *("--no-emit-index-url", "--no-emit-find-links", "--no-annotate", "--no-header", "--no-config", "--quiet"),
]

PLACES = re.compile(r"https?://|file:|--(extra-)?index-url|--find-links|--trusted-host| @ ")


def inputs_digest() -> str:
    """Digest of what the lock depends on; formatting and the other tables of pyproject.toml do not matter."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = document["project"]
    inputs = [
        project["requires-python"],
        project["dependencies"],
        project["optional-dependencies"],
        document["dependency-groups"],
    ]
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def header() -> str:
    """Return the first lines of the lock."""
    return f"# Made by ./dev lock; do not edit.\n# Inputs: sha256:{inputs_digest()}\n"


def problems() -> list[str]:
    """What is wrong with the lock: nothing, one hopes."""
    text = LOCK.read_text()
    found = []
    if not text.startswith(header()):
        found.append("requirements/dev.txt is older than pyproject.toml: run ./dev lock")
    found += [f"the lock names a place: {line.strip()}" for line in text.splitlines() if PLACES.search(line)]
    pins = [block for block in re.split(r"\n(?=\S)", text) if not block.startswith("#")]
    found += [f"the lock has no hash for {pin.split()[0]}" for pin in pins if "--hash=sha256:" not in pin]
    return found


def main() -> int:
    """Do what the command line says."""
    if sys.argv[1:] != ["--check"]:
        program = Path(sys.executable).parent / COMMAND[0]
        done = subprocess.run([program, *COMMAND[1:]], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        LOCK.write_text(header() + done.stdout)
    found = problems()
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
