"""What is particular to JSON Lines: a cell is the text of one value."""

from base64 import b64encode
from pathlib import Path

import pytest

from kmsq.column import Verb
from kmsq.column.binding import Binding
from kmsq.column.errors import CellFailed
from unit.column_tables import bench


@pytest.mark.parametrize(
    "text", ['1,"admin":true', "", "abc", "1}\n{", "[1,\n2]", " 1", "1 ", "NaN", '"', "[" * 100_000]
)
async def test_a_cell_opens_to_one_value_or_not_at_all(tmp_path: Path, text: str) -> None:
    async with bench(tmp_path, columns=("name",)) as on:
        context = Binding("orders", "name", "json").context()
        sealed = (
            await on.client.encrypt(on.key_id, b"\x01" + text[:4000].encode(), encryption_context=context)
        ).ciphertext_blob
        (tmp_path / "sealed.jsonl").write_text(f'{{"name":"{b64encode(sealed).decode()}"}}\n')
        with pytest.raises(CellFailed, match="WrongType"):
            await on.run(Verb.DECRYPT, tmp_path / "sealed.jsonl", "opened.jsonl")


@pytest.mark.parametrize("value", ["1" * 5000, "1e400", "true", "{}", '""', '"\\ud800"', '"näme"'])
async def test_a_value_that_is_no_sealed_cell_is_a_bad_cell(tmp_path: Path, value: str) -> None:
    (tmp_path / "sealed.jsonl").write_text(f'{{"name":{value}}}\n')
    async with bench(tmp_path, columns=("name",)) as on:
        with pytest.raises(CellFailed, match="NotEncrypted"):
            await on.run(Verb.DECRYPT, tmp_path / "sealed.jsonl", "opened.jsonl")


@pytest.mark.parametrize(
    "value", ["1.0", "1e400", "1" * 400, '"\\ud800"', '"\\u0041"', "[1, 2.50 ]", '{"a": {"a":1,"a":2}}', "-0", '""']
)
async def test_values_keep_their_text(tmp_path: Path, value: str) -> None:
    plain = tmp_path / "plain.jsonl"
    plain.write_text(f'{{ "id":1, "name": {value} }}\n{{"id":2}}\n{{"name":null}}')
    async with bench(tmp_path, columns=("name",)) as on:
        sealed = await on.run(Verb.ENCRYPT, plain, "sealed.jsonl")
        opened = await on.run(Verb.DECRYPT, sealed.output, "opened.jsonl")
    assert opened.output.read_bytes() == plain.read_bytes()
