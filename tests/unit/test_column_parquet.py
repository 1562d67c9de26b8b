"""What is particular to Parquet: types, metadata, row groups, wide rows."""

import json
import os
from base64 import b64encode
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kmsq.column import Format, Mode, Verb, run
from kmsq.column.errors import MalformedTable, PlanRefused
from kmsq.column.formats import open_table
from unit.column_tables import arrow_table, bench, write_table

WIDE = 40_000  # bytes


def rows_read(path: Path, *, position: int = 0, rows: int = 1_000, size_bytes: int = 10**9) -> list[int]:
    """Return how many rows each part has that is read from a position."""
    table = open_table(path, Format.PARQUET)
    reader, sizes = table.reader(position), []
    while (part := reader.take(rows, size_bytes)) is not None:
        sizes.append(len(part))
    assert reader.position == table.size
    return sizes


@pytest.mark.parametrize("position", [0, 1, 32, 33, 34, 66, 99, 100])
def test_reading_goes_on_at_any_row(tmp_path: Path, position: int) -> None:
    path = write_table(tmp_path, "parquet")  # row groups of 33
    reader = open_table(path, Format.PARQUET).reader(position)
    found: list[str | None] = []
    while (part := reader.take(20, 10**9)) is not None:
        found += part.row_keys("id")
    assert found == [str(row) for row in range(position, 100)]


def test_wide_rows_come_in_smaller_parts(tmp_path: Path) -> None:
    path = tmp_path / "wide.parquet"
    pq.write_table(pa.table({"wide": [index.to_bytes(2, "big") * (WIDE // 2) for index in range(64)]}), path)
    sizes = rows_read(path, size_bytes=10 * WIDE)
    assert sum(sizes) == 64
    assert max(sizes) <= 12
    assert rows_read(path) == [64]


def allocated_by_one_part(path: Path, position: int) -> int:
    """Return the bytes that Arrow holds when a part was read at a position."""
    before = pa.total_allocated_bytes()
    reader = open_table(path, Format.PARQUET).reader(position)
    assert reader.take(1_000, 1024 * 1024) is not None
    return int(pa.total_allocated_bytes() - before)


def test_wide_rows_behind_many_narrow_ones_come_in_smaller_parts_too(tmp_path: Path) -> None:
    narrow = pa.table({"wide": [index.to_bytes(3, "big") for index in range(100_000)]})
    wide = pa.table({"wide": [index.to_bytes(2, "big") * (WIDE // 2) for index in range(1_000)]})
    with pq.ParquetWriter(tmp_path / "mixed.parquet", narrow.schema, data_page_size=WIDE, write_batch_size=1) as writer:
        writer.write_table(narrow)
        writer.write_table(wide)
    assert sum(rows_read(tmp_path / "mixed.parquet", size_bytes=1024 * 1024)) == 101_000
    assert allocated_by_one_part(tmp_path / "mixed.parquet", 100_000) < 1_000 * WIDE / 4


def test_a_large_row_group_is_not_read_at_once(tmp_path: Path) -> None:
    rows = pa.array([os.urandom(100) for _ in range(100_000)])
    pq.write_table(pa.table({"name": rows}), tmp_path / "large.parquet", row_group_size=len(rows), use_dictionary=False)
    assert allocated_by_one_part(tmp_path / "large.parquet", 0) < rows.nbytes / 2


async def test_many_columns_come_in_smaller_parts(tmp_path: Path) -> None:
    columns = tuple(f"flag {index}" for index in range(300))
    pq.write_table(pa.table(dict.fromkeys(columns, [True] * 500)), tmp_path / "plain.parquet")
    seen: list[int] = []
    async with bench(tmp_path, columns=columns, mode=Mode.ENVELOPE, part_rows=8_192) as on:
        order = on.order(Verb.ENCRYPT, tmp_path / "plain.parquet", "sealed.parquet")
        sealed = await run(order, on.client, watch=lambda now: seen.append(now.tally.rows))
        assert (await on.verify(sealed.output, against=tmp_path / "plain.parquet")).count == 0
    assert seen == [0, 436, 500]


async def test_sealed_fields_keep_nullability_and_metadata(tmp_path: Path) -> None:
    field = pa.field("name", pa.large_string(), nullable=False, metadata={"unit": "none"})
    code = pa.field("price", pa.dictionary(pa.int16(), pa.string()))
    table = pa.table([["a", "b"], pa.array(["x", None]).dictionary_encode()], schema=pa.schema([field, code]))
    pq.write_table(table, tmp_path / "plain.parquet", compression="gzip")
    expected = pq.read_table(tmp_path / "plain.parquet")
    async with bench(tmp_path) as on:
        sealed = await on.run(Verb.ENCRYPT, tmp_path / "plain.parquet", "sealed.parquet")
        opened = await on.run(Verb.DECRYPT, sealed.output, "opened.parquet", columns=())
    found = pq.read_table(opened.output)
    assert found.schema.equals(expected.schema, check_metadata=True)
    assert found.to_pydict() == expected.to_pydict()
    assert pq.read_schema(sealed.output).field("name").type == pa.binary()
    assert not pq.read_schema(sealed.output).field("name").nullable
    assert pq.read_metadata(opened.output).row_group(0).column(0).compression == "GZIP"


async def test_a_type_that_somebody_changed_does_not_open(tmp_path: Path) -> None:
    async with bench(tmp_path) as on:
        sealed = await on.run(Verb.ENCRYPT, write_table(tmp_path, "parquet"), "sealed.parquet", columns=("price",))
        table = pq.read_table(sealed.output)
        field = table.schema.field("price")
        facts = json.loads(field.metadata[b"kmsq"])
        other = pq.read_table(write_table(tmp_path, "parquet")).schema.field("id").with_name("price")
        facts["field"] = _serialised(other)
        changed = field.with_metadata({"kmsq": json.dumps(facts)})
        at = table.schema.get_field_index("price")
        pq.write_table(table.cast(table.schema.set(at, changed)), tmp_path / "changed.parquet")
        found = await on.verify(tmp_path / "changed.parquet", columns=())
    assert found.count == 100
    assert {one.code for one in found.shown} == {"InvalidCiphertextException"}


def _serialised(field: Any) -> str:
    return b64encode(pa.schema([field]).serialize().to_pybytes()).decode()


@pytest.mark.parametrize(
    "facts",
    [
        *("", "[]", "{}", '{"version":2}', '{"version":1}'),
        '{"version":1,"mode":"value","table":"t","row_key":null}',
        '{"version":1,"mode":"value","table":"t","row_key":null,"data_key_column":null,"field":"AAAA"}',
    ],
)
def test_metadata_that_cannot_be_read_is_refused(tmp_path: Path, facts: str) -> None:
    schema = pa.schema([pa.field("name", pa.binary(), metadata={"kmsq": facts})])
    pq.write_table(pa.table([[b"x"]], schema=schema), tmp_path / "sealed.parquet")
    with pytest.raises(MalformedTable, match="column name"):
        open_table(tmp_path / "sealed.parquet", Format.PARQUET)


def test_what_is_no_parquet_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.parquet").write_text("no")
    with pytest.raises(MalformedTable, match="not a Parquet file"):
        open_table(tmp_path / "no.parquet", Format.PARQUET)
    with pytest.raises(MalformedTable, match="cannot read"):
        open_table(tmp_path / "none.parquet", Format.PARQUET)


async def test_an_extension_type_is_refused_by_name(tmp_path: Path) -> None:
    table = pa.table({"name": pa.array([b"x" * 16], pa.uuid()), "price": [1.0]})
    pq.write_table(table, tmp_path / "plain.parquet")
    async with bench(tmp_path) as on:
        with pytest.raises(PlanRefused, match="column name cannot be encrypted"):
            await on.run(Verb.ENCRYPT, tmp_path / "plain.parquet", "sealed.parquet")


async def test_columns_that_were_encrypted_differently_are_done_one_after_the_other(tmp_path: Path) -> None:
    plain = write_table(tmp_path, "parquet")
    async with bench(tmp_path) as on:
        one = await on.run(Verb.ENCRYPT, plain, "one.parquet", columns=("name",))
        two = await on.run(Verb.ENCRYPT, one.output, "two.parquet", columns=("price",), mode=Mode.ENVELOPE)
        with pytest.raises(PlanRefused, match="one after the other"):
            await on.run(Verb.DECRYPT, two.output, "opened.parquet", columns=())
        half = await on.run(Verb.DECRYPT, two.output, "half.parquet", columns=("price",))
        opened = await on.run(Verb.DECRYPT, half.output, "opened.parquet", columns=())
    assert pq.read_table(opened.output).equals(arrow_table())


def rewritten_by_another_tool(path: Path, bytes_type: Any) -> Path:
    """Write a file again as tools do that keep values only, and bytes in a type of their own."""
    table = pq.read_table(path)
    fields = [pa.field(field.name, bytes_type if field.type == pa.binary() else field.type) for field in table.schema]
    other = path.with_name("other.parquet")
    pq.write_table(table.cast(pa.schema(fields)), other)
    return other


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("bytes_type", [pa.binary(), pa.large_binary()], ids=str)
async def test_a_file_that_lost_its_metadata_is_like_one_that_has_it(
    tmp_path: Path, mode: Mode, bytes_type: Any
) -> None:
    plain, none = write_table(tmp_path, "parquet"), tmp_path / "none.parquet"
    pq.write_table(arrow_table(0), none)
    async with bench(tmp_path, mode=mode, row_key="id") as on:
        sealed = await on.run(Verb.ENCRYPT, plain, "sealed.parquet")
        like = (await on.run(Verb.ENCRYPT, none, "like.parquet")).output
        lost = rewritten_by_another_tool(sealed.output, bytes_type)
        told: dict[str, Any] = {"table": None, "row_key": None, "columns": (), "mode": None}
        for options in (
            dict[str, Any](),
            told,
        ):  # table and columns are not enough: which types they had only metadata says
            with pytest.raises(PlanRefused, match="--like FILE"):
                await on.run(Verb.DECRYPT, lost, "opened.parquet", **options)
        assert (await on.verify(lost, like=like, **told)).count == 0
        opened = await on.run(Verb.DECRYPT, lost, "opened.parquet", like=like, **told)
        moved = await on.run(Verb.REWRAP, lost, "moved.parquet", like=like, **told)
        assert (await on.verify(moved.output, against=plain, **told)).count == 0
    assert pq.read_table(opened.output).equals(pq.read_table(plain))


async def test_only_parquet_files_are_like_others(tmp_path: Path) -> None:
    async with bench(tmp_path) as on:
        with pytest.raises(PlanRefused, match="--like is for Parquet"):
            await on.run(Verb.DECRYPT, write_table(tmp_path, "csv"), "x.csv", like=write_table(tmp_path, "parquet"))
