"""The lock is fit for a newcomer's machine."""

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_lock_is_up_to_date_and_names_no_place() -> None:
    assert runpy.run_path(str(ROOT / "requirements" / "lock.py"))["problems"]() == []
