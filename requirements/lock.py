"""
Make the locks from pyproject.toml (no arguments), or check that they are up to date (`--check`).

    dev.txt      everything, for people who work on the project
    worker.txt   what the container image holds beside the wheel
    build.txt    what makes the wheel for it

The last two have the first one's versions. The check needs no network: each lock's first lines carry a digest of
everything in pyproject.toml that it was made from. No committed file names a registry's host or a local folder; the
locks are made without pip's configuration.
"""

import hashlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "requirements"
AS_DEV = ("--constraint", "requirements/dev.txt")
LOCKS: dict[str, tuple[str, ...]] = {  # in the order in which they have to be made
    "dev.txt": ("pyproject.toml", "--all-extras", "--group", "dev", "--upgrade"),
    "worker.txt": ("pyproject.toml", "--extra", "worker", "--group", "image", *AS_DEV),
    "build.txt": ("--group", "build", *AS_DEV),
}
COMMAND = ("uv", "pip", "compile")
OPTIONS = (
    *("--universal", "--python-version", "3.11", "--generate-hashes"),
    *("--no-emit-index-url", "--no-emit-find-links", "--no-annotate", "--no-header", "--no-config", "--quiet"),
)

PLACES = re.compile(r"https?://|file:|--(extra-)?index-url|--find-links|--trusted-host| @ ")


def inputs_digest() -> str:
    """Digest of what the locks depend on; formatting and the other tables of pyproject.toml do not matter."""
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
    """Return the first lines of a lock."""
    return f"# Made by ./dev lock; do not edit.\n# Inputs: sha256:{inputs_digest()}\n"


def problems() -> list[str]:
    """What is wrong with the locks: nothing, one hopes."""
    return [problem for name in LOCKS for problem in _problems(name, (FOLDER / name).read_text())]


def _problems(name: str, text: str) -> list[str]:
    found = []
    if not text.startswith(header()):
        found.append(f"requirements/{name} is older than pyproject.toml: run ./dev lock")
    found += [f"{name} names a place: {line.strip()}" for line in text.splitlines() if PLACES.search(line)]
    pins = [block for block in re.split(r"\n(?=\S)", text) if not block.startswith("#")]
    found += [f"{name} has no hash for {pin.split()[0]}" for pin in pins if "--hash=sha256:" not in pin]
    return found


def make() -> None:
    """Make the locks, the newest versions of everything."""
    program = Path(sys.executable).parent / COMMAND[0]
    for name, inputs in LOCKS.items():
        command = [str(program), *COMMAND[1:], *inputs, *OPTIONS]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        (FOLDER / name).write_text(header() + done.stdout)


def main() -> int:
    """Do what the command line says."""
    if sys.argv[1:] != ["--check"]:
        make()
    found = problems()
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
