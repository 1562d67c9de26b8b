"""Reading the vectors."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
DOCUMENT = FOLDER.parent.parent / "docs" / "ciphertext.md"


def text(name: str) -> str:
    """Return `<name>.json` as it is."""
    return (FOLDER / f"{name}.json").read_text(encoding="ascii")


def vectors(name: str) -> list[dict[str, Any]]:
    """Return the vectors of `<name>.json`."""
    loaded: list[dict[str, Any]] = json.loads(text(name))
    return loaded


def name_of(vector: dict[str, Any]) -> str:
    """Return what a test's id shows."""
    return str(vector["name"])
