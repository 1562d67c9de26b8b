"""Marks every test of this folder as one that starts services."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Set the marker `integration` (the hook gets the items of all folders)."""
    for item in items:
        if item.path.is_relative_to(FOLDER):
            item.add_marker("integration")
