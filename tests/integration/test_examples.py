"""The examples against the whole service: as the README prints them; the service denied and stopped, the pipeline's file."""

import asyncio
import base64
import json
import os
import signal
import subprocess
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import asyncpg
import pandas as pd
import pytest
from pyarrow import parquet

from examples import dataframe_pipeline, postgres_column, producer_service
from integration.example_runs import EXAMPLES, PROCESS_SECONDS, environment_of, new_database, started
from kmsq import Client
from services.stack import PrivateStack

ORDERS = 20_000  # more than the service takes in before the test has stopped it


@pytest.fixture
async def client(stack: PrivateStack) -> AsyncGenerator[Client]:
    """Return the account's administrator."""
    async with Client(stack.administrator_url) as connected:
        yield connected


@pytest.fixture
async def key_id(client: Client) -> str:
    return (await client.create_key()).key_metadata.key_id


def order_lines(orders: Iterable[int]) -> list[bytes]:
    return [json.dumps({"order": str(order), "card": f"card of {order}"}).encode() + b"\n" for order in orders]


def answers(out: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.splitlines()]


async def require_sealed(client: Client, answered: Sequence[Mapping[str, object]]) -> None:
    """Check that each answer holds the card of its own order."""
    blobs = [base64.b64decode(str(one["sealed"])) for one in answered]
    opened = client.decrypt_many(blobs, context_of=lambda index, _blob: {"order": str(answered[index]["order"])})
    assert [card async for card in opened] == [f"card of {one['order']}".encode() for one in answered]


def printed_commands() -> list[str]:
    """Return what the README prints, but for the start of a stack."""
    lines = (EXAMPLES / "README.md").read_text().splitlines()
    return [line.strip() for line in lines if line.startswith("    ") and "./dev up" not in line]


async def test_the_readmes_commands_work_as_they_are_printed(
    stack: PrivateStack, client: Client, tmp_path: Path
) -> None:
    database_url = await asyncio.to_thread(new_database, stack)
    (tmp_path / "examples").symlink_to(EXAMPLES)
    commands = printed_commands()
    assert sum("examples/" in command for command in commands) == 4
    try:
        done = await asyncio.to_thread(
            subprocess.run,
            ["bash", "-euo", "pipefail", "-c", "\n".join(commands)],
            env=environment_of(stack, database_url),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=PROCESS_SECONDS,
        )
        assert done.returncode == 0, done.stderr
    finally:
        await client.delete_alias("alias/examples")
    sealed = answers((tmp_path / "sealed.jsonl").read_text())
    assert sorted(str(one["order"]) for one in sealed if "sealed" in one) == ["17", "18", "19"]
    types = [
        parquet.read_schema(tmp_path / name).field("card").type for name in ("sealed.parquet", "sealed-too.parquet")
    ]
    assert [str(type_) for type_ in types] == ["binary", "binary"]
    database = await asyncpg.connect(database_url)
    row = await database.fetchrow("SELECT * FROM customers WHERE id = 20000")
    await database.close()
    assert row is not None
    assert list(row.keys()) == ["id", "card_sealed"]
    opened = await client.decrypt(
        row["card_sealed"], encryption_context={"table": "customers", "column": "card", "row": "20000"}
    )
    assert opened.plaintext == b"4111 20000"


@pytest.mark.parametrize(
    "example", [producer_service, dataframe_pipeline, postgres_column], ids=lambda one: one.__name__
)
def test_help_explains_and_a_missing_broker_is_named(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--column", "card", "from.parquet", "to.parquet"] if example is dataframe_pipeline else []
    monkeypatch.delenv("KMSQ_AMQP_URL", raising=False)
    monkeypatch.setattr("sys.argv", ["example", "--key-id", "k", *files])
    with pytest.raises(SystemExit, match="set KMSQ_AMQP_URL"):
        example.main()
    monkeypatch.setattr("sys.argv", ["example", "--help"])
    with pytest.raises(SystemExit, match="0"):
        example.main()
    assert "What it shows:" in capsys.readouterr().out


async def test_the_service_answers_at_sigterm_what_it_has_taken_in_and_leaves_the_rest(
    stack: PrivateStack, client: Client, key_id: str
) -> None:
    environment = environment_of(stack, database_url="")
    orders = order_lines(range(ORDERS))
    read_end, write_end = os.pipe()

    def write() -> None:
        with os.fdopen(write_end, "wb", buffering=0) as pipe:
            for line in orders:
                pipe.write(line)

    async with started(environment, "producer_service.py", "--key-id", key_id, stdin=read_end) as service:
        writing = asyncio.create_task(asyncio.to_thread(write))
        assert service.stdout is not None
        first = await service.stdout.readline()
        service.send_signal(signal.SIGTERM)
        out, err = await service.communicate()
    os.set_blocking(read_end, True)  # asyncio made it non-blocking in the service, which had the same
    with os.fdopen(read_end, "rb") as pipe:
        left = await asyncio.to_thread(pipe.readlines)
    await writing
    answered = answers((first + out).decode())
    assert (service.returncode, err.decode()) == (0, f"answered {len(answered)} orders\n")
    assert 0 < len(answered) < ORDERS
    taken = sorted(int(str(one["order"])) for one in answered)
    assert order_lines(taken) + left == orders
    await require_sealed(client, answered)


async def test_an_order_that_fails_says_why_and_never_touches_its_neighbours(
    client: Client, key_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    reader = asyncio.StreamReader()
    for line in [b'{"order": "a"}\n', *order_lines([1]), b"[]\n", b'{"order": "b", "card": ""}\n', *order_lines([2])]:
        reader.feed_data(line)
    reader.feed_data(b"x" * 99_999)  # longer than a line may be
    reader.feed_eof()
    assert await producer_service.Service(client, key_id, 10).serve(producer_service.lines_of(reader)) == 6
    answered = answers(capsys.readouterr().out)
    failures = {str(one.get("line") or one["order"]): one["failed"] for one in answered if "failed" in one}
    assert failures == {"1": "NoOrder", "3": "NoOrder", "6": "NoOrder", "b": "InvalidRequest"}
    sealed = [one for one in answered if "sealed" in one]
    assert {one["order"] for one in sealed} == {"1", "2"}
    await require_sealed(client, sealed)


async def test_a_failed_order_says_whether_to_try_again_and_never_the_card(
    principals: dict[str, str], client: Client, key_id: str
) -> None:
    (line,) = order_lines([1])
    async with Client(principals["carol"]) as carol:
        denied = await producer_service.Service(carol, key_id, 10).answer(1, line)
    late = await producer_service.Service(client, key_id, 0.000_001).answer(1, line)
    assert (denied["failed"], denied["try_again"]) == ("AccessDeniedException", False)
    assert (late["failed"], late["try_again"]) == ("DeadlineExceeded", True)
    assert "card of" not in f"{denied}{late}"


async def test_the_pipelines_file_has_the_ciphertexts_where_the_values_were(
    stack: PrivateStack, client: Client, key_id: str, tmp_path: Path
) -> None:
    cards = [None if number % 7 == 0 else f"card {number}" for number in range(3_000)]
    index = [number // 2 for number in range(3_000)]  # a pandas index may hold the same twice
    source, target = tmp_path / "orders.parquet", tmp_path / "sealed.parquet"
    pd.DataFrame({"id": range(3_000), "card": cards}, index=index).to_parquet(source)
    assert await dataframe_pipeline.run(stack.administrator_url, key_id, source, target, "card")
    sealed = parquet.read_table(target)
    assert sealed.drop(["card"]).equals(parquet.read_table(source).drop(["card"]))
    blobs = sealed.column("card").to_pylist()
    assert [blob is None for blob in blobs] == [card is None for card in cards]
    opened = client.decrypt_many(filter(None, blobs), context={"table": "orders", "column": "card"})
    assert [card.decode() async for card in opened] == list(filter(None, cards))
