"""Markers: whatever is altered is refused; paging from marker to marker shows every row once."""

import asyncio

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fakes.database import Database
from kmsq_worker.errors import InvalidMarkerException
from kmsq_worker.operations.pages import page, position_of

CUSTODY = asyncio.run(Database().custody())
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(scope=TEXTS, position=TEXTS)
def test_a_marker_leads_back_to_its_position_in_its_list(scope: str, position: str) -> None:
    marker = page(CUSTODY, scope, [position, ""], 1, str).next_marker
    assert position_of(CUSTODY, scope, marker) == position


@given(data=st.data(), scope=TEXTS, position=TEXTS)
def test_an_altered_marker_is_refused(data: st.DataObject, scope: str, position: str) -> None:
    marker = page(CUSTODY, scope, [position, ""], 1, str).next_marker or ""
    where = data.draw(st.integers(0, len(marker)))
    until = data.draw(st.integers(where, min(where + 3, len(marker))))
    altered = marker[:where] + data.draw(st.text(max_size=3)) + marker[until:]
    assume(altered != marker)
    with pytest.raises(InvalidMarkerException):
        position_of(CUSTODY, scope, altered)


@given(scope=TEXTS, other=TEXTS, position=TEXTS)
def test_a_marker_serves_no_other_list(scope: str, other: str, position: str) -> None:
    assume(other != scope)
    marker = page(CUSTODY, scope, [position, ""], 1, str).next_marker
    with pytest.raises(InvalidMarkerException):
        position_of(CUSTODY, other, marker)


@given(marker=st.text() | st.binary().map(lambda data: data.hex()))
def test_nobody_else_makes_markers(marker: str) -> None:
    with pytest.raises(InvalidMarkerException):
        position_of(CUSTODY, "ListKeys", marker)


@given(rows=st.sets(TEXTS.filter(bool)).map(sorted), limit=st.integers(1, 5))
def test_paging_shows_every_row_once_and_in_order(rows: list[str], limit: int) -> None:
    seen: list[str] = []
    marker: str | None = None
    while True:
        after = position_of(CUSTODY, "ListKeys", marker)
        found = page(CUSTODY, "ListKeys", [row for row in rows if row > after][: limit + 1], limit, str)
        assert len(found.entries) <= limit
        seen += found.entries
        marker = found.next_marker
        if marker is None:
            break
        assert found.truncated
    assert seen == rows
