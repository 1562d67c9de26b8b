"""Laws of columns: cells, lines of JSON, and what is left of a run whose files were cut off anywhere."""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kmsq.column import Mode, Start, Verb, run
from kmsq.column.binding import Binding
from kmsq.column.cells import Fault, check_text, text_cell, text_of
from kmsq.column.errors import Interrupted
from kmsq.column.formats.arrow_cells import array_of, check, plaintexts_of
from kmsq.column.formats.json_line import added, members_of, removed, replaced
from kmsq.column.workspace import Paths
from unit.column_tables import FORMATS, Bench, bench, content, write_table

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
FIXED = [
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.float16(), pa.float32(), pa.float64(), pa.date32(), pa.date64(), pa.time32("ms"), pa.time64("us")),
    *(pa.timestamp("ns"), pa.timestamp("us", "Europe/Paris"), pa.duration("s"), pa.binary(5)),
    *(pa.decimal32(5, 2), pa.decimal64(12, 2), pa.decimal128(20, 4), pa.decimal256(50, 10)),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(TEXT, JSON, max_size=5)


@given(st.sampled_from(FIXED), st.data())
def test_every_value_of_fixed_width_is_itself_again(kind: Any, data: st.DataObject) -> None:
    width = kind.bit_width // 8
    raw = data.draw(st.lists(st.none() | st.binary(min_size=width, max_size=width), max_size=6))
    array = pa.array(raw, pa.binary(width)).view(kind)
    plaintexts = plaintexts_of(array)
    assert all(cell is None or len(cell) == 1 + width for cell in plaintexts)
    assert check(kind, plaintexts) == plaintexts
    again = array_of(kind, plaintexts)
    assert again.type == kind
    assert plaintexts_of(again) == plaintexts  # of NaNs, too, which are not equal to themselves


@given(st.sampled_from([pa.string(), pa.large_string(), pa.string_view()]), st.lists(st.none() | TEXT, max_size=6))
def test_every_text_is_itself_again(kind: Any, values: list[str | None]) -> None:
    array = pa.array(values, kind)
    assert array_of(kind, check(kind, plaintexts_of(array))).equals(array)


@given(st.sampled_from([pa.binary(), pa.large_binary(), pa.binary_view()]), st.lists(st.none() | st.binary()))
def test_all_bytes_are_themselves_again(kind: Any, values: list[bytes | None]) -> None:
    array = pa.array(values, kind)
    assert array_of(kind, check(kind, plaintexts_of(array))).equals(array)


@given(st.lists(st.none() | st.booleans()))
def test_every_bool_is_itself_again(values: list[bool | None]) -> None:
    array = pa.array(values, pa.bool_())
    assert array_of(pa.bool_(), check(pa.bool_(), plaintexts_of(array))).equals(array)


@given(st.lists(st.none() | st.sampled_from(["a", "b", ""]), max_size=8), st.integers(0, 8))
def test_a_dictionary_and_a_slice_hold_values_like_any_array(values: list[str | None], start: int) -> None:
    array = pa.array(values, pa.string()).dictionary_encode().slice(start)
    again = array_of(array.type, check(array.type, plaintexts_of(array)))
    assert again.type == array.type
    assert again.to_pylist() == values[start:]


@given(st.sampled_from([*FIXED, pa.string(), pa.bool_()]), st.binary(max_size=40))
def test_whatever_opens_is_a_value_or_a_fault(kind: Any, plaintext: bytes) -> None:
    (cell,) = check(kind, [plaintext])
    if not isinstance(cell, Fault):
        array = array_of(kind, [cell])
        array.validate(full=not pa.types.is_decimal(kind))  # a decimal's digits are as authentic as all else
        assert array.null_count == 0


@given(TEXT)
def test_a_cells_text_is_itself_again_and_never_empty(text: str) -> None:
    assert text_of(text_cell(text)) == text
    assert check_text([text_cell(text), None]) == [text_cell(text), None]


@given(st.binary())
def test_bytes_that_are_no_text_cell_are_a_fault(plaintext: bytes) -> None:
    (cell,) = check_text([plaintext])
    if not isinstance(cell, Fault):
        assert text_cell(text_of(plaintext)) == plaintext


@given(st.lists(st.tuples(TEXT, TEXT, TEXT, st.none() | TEXT), min_size=2, max_size=2, unique=True))
def test_no_two_places_are_bound_alike(places: list[tuple[str, str, str, str | None]]) -> None:
    one, other = (Binding(*place[:3]).associated(place[3]) for place in places)
    assert one != other


@given(value=OBJECTS, indent=st.sampled_from([None, 1]), ascii_=st.integers(0, 1))
def test_members_of_a_line_are_those_that_json_finds(value: dict[str, Any], indent: int | None, ascii_: int) -> None:
    line = json.dumps(value, indent=indent, ensure_ascii=bool(ascii_)).replace("\n", " ") + "\n"
    members = members_of(line)
    assert {name: json.loads(line[at.start : at.end]) for name, at in members.items()} == value


@given(OBJECTS, TEXT, JSON)
def test_a_member_that_is_added_and_removed_leaves_no_trace(value: dict[str, Any], name: str, more: object) -> None:
    assume(name not in value)
    line = json.dumps(value) + "\n"
    longer = added(line, members_of(line), name, json.dumps(more))
    assert json.loads(longer) == {**value, name: more}
    assert removed(longer, members_of(longer), name) == line


@given(OBJECTS, st.data())
def test_only_the_named_members_are_replaced(value: dict[str, Any], data: st.DataObject) -> None:
    names = data.draw(st.sets(st.sampled_from(sorted(value)))) if value else set()
    line = json.dumps(value)
    changed = replaced(line, members_of(line), dict.fromkeys(names, '"x"'))
    assert json.loads(changed) == {**value, **dict.fromkeys(names, "x")}


@given(st.text(max_size=30))
def test_what_is_not_one_object_is_refused(line: str) -> None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        with pytest.raises(ValueError):  # noqa: PT011  from whichever place finds it
            members_of(line)


@pytest.mark.parametrize("line", ['{"a":1,"a":2}', '{"a":NaN}', '{"a":1}{}', '{"a":1,}', '{"a" 1}', "[]", '{"a":1'])
def test_lines_that_mean_two_things_or_nothing_are_refused(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  from whichever place finds it
        members_of(line)


async def stopped_and_cut(on: Bench, plain: Path, journal_kept: float, spool_kept: float) -> None:
    """Leave what a run had done that was stopped in the middle, less the ends of its files."""
    stop = asyncio.Event()
    order = on.order(Verb.ENCRYPT, plain, f"sealed{plain.suffix}")
    with pytest.raises(Interrupted):
        await run(order, on.client, watch=lambda now: stop.set() if now.tally.rows >= 30 else None, stop=stop)
    for path, kept in [(Paths(order.target).journal, journal_kept), (Paths(order.target).beside("part"), spool_kept)]:
        with path.open("r+b") as file:
            file.truncate(int(path.stat().st_size * kept))


async def finish_and_compare(folder: Path, kind: str, mode: Mode, journal_kept: float, spool_kept: float) -> None:
    plain = write_table(folder, kind, rows=60)
    async with bench(folder, mode=mode, row_key="id") as on:
        await stopped_and_cut(on, plain, journal_kept, spool_kept)
        sealed = await on.run(Verb.ENCRYPT, plain, f"sealed.{kind}", Start.RESUME)
        opened = await on.run(Verb.DECRYPT, sealed.output, f"opened.{kind}")
    assert content(opened.output) == content(plain)


@settings(max_examples=30)
@given(st.sampled_from(FORMATS), st.sampled_from(list(Mode)), st.floats(0, 1), st.floats(0, 1))
def test_a_run_whose_files_were_cut_off_anywhere_goes_on_exactly(
    kind: str, mode: Mode, journal_kept: float, spool_kept: float
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(finish_and_compare(Path(folder), kind, mode, journal_kept, spool_kept))
