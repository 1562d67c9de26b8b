"""`kmsq column` against real workers: killed at random, stopped by signals, and its failures in the middle."""

import asyncio
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from integration.evidence import running
from kmsq import Client
from kmsq.column import Mode, OnError, Order, Progress, Start, Verb, run, verify
from kmsq.column.errors import CellFailed
from kmsq.column.workspace import Paths
from kmsq.errors import AccessDeniedException, DisabledException
from services.stack import PROGRAMS, PrivateStack

ROWS = 6_000
PART_ROWS = 500
KILLS_MAX = 2  # of a run, twelve in all; tests/unit/test_column_crashes.py tries each change of a file
STEP_SECONDS = 60


def write_plain(folder: Path, kind: str) -> Path:
    """Write a table of six thousand rows whose three columns are to be encrypted."""
    path = folder / f"plain.{kind}"
    names = [None if index % 7 == 3 else f"näme {index}" for index in range(ROWS)]
    if kind == "parquet":
        columns = {"id": range(ROWS), "name": names, "price": [index / 4 for index in range(ROWS)], "day": range(ROWS)}
        pq.write_table(pa.table(columns), path, row_group_size=2_500)
    elif kind == "csv":
        lines = [f"{index},{name or ''},{index / 4},{index}" for index, name in enumerate(names)]
        path.write_text("\n".join(["id,name,price,day", *lines, ""]))
    else:
        rows = [{"id": index, "name": name, "price": index / 4, "day": [index]} for index, name in enumerate(names)]
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@dataclass(frozen=True, slots=True)
class Kmsq:
    """The command `kmsq column` of the account's administrator, in a folder."""

    environment: Mapping[str, str] = field(repr=False)
    folder: Path

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["kmsq", "--output", "json", "column", *arguments],
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def do(self, *arguments: str, code: int = 0) -> str:
        """Run it to its end, which must be `code`; return what it printed, or its error."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=STEP_SECONDS)
        assert process.returncode == code, err
        return out if code == 0 else err


@pytest.fixture
def kmsq(stack: PrivateStack, tmp_path: Path) -> Kmsq:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("KMSQ_")}
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    return Kmsq({**inherited, "PATH": path, "KMSQ_AMQP_URL": stack.administrator_url}, tmp_path)


@asynccontextmanager
async def connected(stack: PrivateStack) -> AsyncGenerator[tuple[Client, str]]:
    """Connect the administrator, who has a new key."""
    async with Client(stack.administrator_url, timeout_seconds=STEP_SECONDS) as client:
        yield client, (await client.create_key()).key_metadata.key_id


async def new_key(stack: PrivateStack) -> str:
    async with connected(stack) as (_, key_id):
        return key_id


def lines_in(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def wait_for_lines(journal: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Wait until the journal has so many lines, or the process has ended."""
    while process.poll() is None and lines_in(journal) < count:
        time.sleep(0.005)


def kill_until_done(kmsq: Kmsq, chance: random.Random, target: Path, *arguments: str) -> int:
    """Run the command, killed at random points and resumed, until it is done; return how often it was killed."""
    journal, kills = Paths(target).journal, 0
    while True:
        process = kmsq.start(*arguments, *(["--resume"] if journal.exists() else []))
        if kills < KILLS_MAX:
            wait_for_lines(journal, lines_in(journal) + chance.randrange(5), process)
            time.sleep(chance.random() * 0.05)
            process.kill()
        _out, err = process.communicate(timeout=STEP_SECONDS)
        if process.returncode != -signal.SIGKILL:
            assert process.returncode == 0, err
            return kills
        kills += 1
        if target.exists() and not journal.exists():
            return kills  # it was killed when all was done


@pytest.mark.parametrize(
    ("kind", "mode", "seed"),
    [("parquet", "value", 1), ("parquet", "envelope", 2), ("csv", "value", 3), ("jsonl", "envelope", 4)],
)
async def test_killed_at_random_points_it_comes_to_the_exact_table(
    stack: PrivateStack, kmsq: Kmsq, kind: str, mode: str, seed: int
) -> None:
    key_id, plain = await new_key(stack), await asyncio.to_thread(write_plain, kmsq.folder, kind)
    chance = random.Random(seed)  # noqa: S311  kills need no secret
    columns = [word for name in ("name", "price", "day") for word in ("--column", name)]
    bound = ["--table", "orders", "--row-key", "id", *columns, "--part-rows", str(PART_ROWS)]

    def work() -> None:
        sealed, opened = kmsq.folder / f"sealed.{kind}", kmsq.folder / f"opened.{kind}"
        to_seal = ["encrypt", plain.name, "--key-id", key_id, "--mode", mode, "-o", sealed.name, *bound]
        assert kill_until_done(kmsq, chance, sealed, *to_seal) > 0
        to_open = ["decrypt", sealed.name, "-o", opened.name, *bound]
        if kind == "parquet":
            assert kill_until_done(kmsq, chance, opened, *to_open) > 0
            assert pq.read_table(opened).equals(pq.read_table(plain))
        else:
            kmsq.do(*to_open)
            assert opened.read_bytes() == plain.read_bytes()

    await asyncio.to_thread(work)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_leaves_a_run_that_its_own_words_go_on_with(
    stack: PrivateStack, kmsq: Kmsq, number: signal.Signals, code: int
) -> None:
    key_id, plain = await new_key(stack), await asyncio.to_thread(write_plain, kmsq.folder, "csv")
    journal = Paths(kmsq.folder / "sealed.csv").journal

    def work() -> None:
        options = ["--table", "orders", "--column", "name", "--part-rows", "100"]
        process = kmsq.start("encrypt", plain.name, "--key-id", key_id, "-o", "sealed.csv", *options)
        wait_for_lines(journal, 3, process)
        process.send_signal(number)
        out, err = process.communicate(timeout=STEP_SECONDS)
        assert (process.returncode, out) == (code, "")
        command = err.partition("To go on: ")[2].strip()
        assert command.startswith("kmsq --output json column encrypt plain.csv")
        done = subprocess.run(  # noqa: S602  what a person would paste
            command, shell=True, env=kmsq.environment, cwd=kmsq.folder, capture_output=True, text=True, check=True
        )
        summary = json.loads(done.stdout)
        assert 200 <= summary["ResumedFrom"] < ROWS
        assert (summary["Rows"], summary["Cells"], summary["Requests"] > 0) == (ROWS, ROWS, True)

    await asyncio.to_thread(work)
    sealed = kmsq.folder / "sealed.csv"
    order = Order(verb=Verb.VERIFY, source=sealed, target=sealed, columns=("name",), table="orders")
    async with Client(stack.administrator_url) as client:
        assert (await verify(order, client, against=plain)).count == 0


async def test_a_dry_run_asks_the_service_and_writes_nothing(stack: PrivateStack, kmsq: Kmsq) -> None:
    key_id = await new_key(stack)
    (kmsq.folder / "plain.csv").write_text("name\nx\n")

    def work() -> None:
        options = ["--table", "orders", "--column", "name", "-o", "sealed.csv", "--dry-run"]
        for mode in Mode:
            done = kmsq.do("encrypt", "plain.csv", "--key-id", key_id, "--mode", mode.value, *options)
            assert json.loads(done)["PermissionChecked"] is True
        error = kmsq.do("encrypt", "plain.csv", "--key-id", "alias/none", *options, code=2)
        assert error.startswith("kmsq: NotFoundException")
        assert [path.name for path in kmsq.folder.iterdir()] == ["plain.csv"]

    await asyncio.to_thread(work)


def order_for(folder: Path, key_id: str, mode: Mode, on_error: OnError = OnError.FAIL) -> Order:
    return Order(
        verb=Verb.ENCRYPT,
        source=folder / "plain.parquet",
        target=folder / "sealed.parquet",
        columns=("name", "price"),
        key_id=key_id,
        table="orders",
        mode=mode,
        on_error=on_error,
        part_rows=PART_ROWS,
    )


class At:
    """Does something once, when a run has done some rows."""

    def __init__(self, rows: int, act: Callable[[], None]) -> None:
        self.done = False
        self._rows = rows
        self._act = act

    def __call__(self, now: Progress) -> None:
        if now.tally.rows >= self._rows and not self.done:
            self.done = True
            self._act()


async def require_equal(client: Client, order: Order) -> None:
    sealed = Order(verb=Verb.VERIFY, source=order.target, target=order.target)
    assert (await verify(sealed, client, against=order.source)).count == 0


@pytest.mark.parametrize("mode", list(Mode))
async def test_a_worker_that_is_killed_stops_nobody(lone: PrivateStack, tmp_path: Path, mode: Mode) -> None:
    write_plain(tmp_path, "parquet")
    async with running(lone, 2) as (first, _second), connected(lone) as (client, key_id):
        order = order_for(tmp_path, key_id, mode)
        kill = At(2_000, first.kill)
        summary = await run(order, client, watch=kill)
        assert (kill.done, summary.tally.rows) == (True, ROWS)
        await require_equal(client, order)


async def test_a_broker_that_restarts_is_waited_for(lone: PrivateStack, tmp_path: Path) -> None:
    write_plain(tmp_path, "parquet")
    restarts: list[asyncio.Future[None]] = []
    async with running(lone), connected(lone) as (client, key_id):
        order = order_for(tmp_path, key_id, Mode.VALUE)
        restart = At(2_000, lambda: restarts.append(asyncio.ensure_future(asyncio.to_thread(lone.broker.restart))))
        summary = await run(order, client, watch=restart)
        await restarts[0]
        assert summary.tally.rows == ROWS
        await require_equal(client, order)


@pytest.mark.parametrize("mode", list(Mode))
async def test_a_key_that_is_disabled_in_the_middle_stops_the_run_until_it_is_enabled(
    stack: PrivateStack, tmp_path: Path, mode: Mode
) -> None:
    write_plain(tmp_path, "parquet")
    disabling: list[asyncio.Future[object]] = []
    async with connected(stack) as (client, key_id):
        order = order_for(tmp_path, key_id, mode, OnError.SKIP)
        disable = At(1_000, lambda: disabling.append(asyncio.ensure_future(client.disable_key(key_id))))
        with pytest.raises(DisabledException):
            await run(order, client, watch=disable)
        await disabling[0]
        await client.enable_key(key_id)
        summary = await run(order, client, start=Start.RESUME)
        assert summary.resumed_from is not None
        assert 1_000 <= summary.resumed_from < ROWS
        assert (summary.tally.rows, summary.tally.skipped) == (ROWS, 0)
        await require_equal(client, order)


async def test_a_denied_principal_goes_on_once_it_is_allowed(
    stack: PrivateStack, principals: Mapping[str, str], tmp_path: Path
) -> None:
    write_plain(tmp_path, "parquet")
    async with connected(stack) as (admin, key_id), Client(principals["carol"]) as carol:
        order = order_for(tmp_path, key_id, Mode.VALUE, OnError.QUARANTINE)
        with pytest.raises(AccessDeniedException):
            await run(order, carol)
        metadata = (await admin.describe_key(key_id)).key_metadata
        principal = f"arn:kmsq:iam::{metadata.aws_account_id}:user/carol"
        await admin.create_grant(key_id, ["Encrypt", "Decrypt"], grantee_principal=principal)
        summary = await run(order, carol, start=Start.RESUME)
        assert (summary.resumed_from, summary.tally.rows) == (0, ROWS)
        await require_equal(carol, order)


@pytest.mark.parametrize("on_error", list(OnError))
async def test_one_bad_cell_does_what_was_asked(stack: PrivateStack, tmp_path: Path, on_error: OnError) -> None:
    path = write_plain(tmp_path, "parquet")
    table = pq.read_table(path)
    names = [*table["name"].to_pylist()[:-1], "x" * 4096]
    pq.write_table(table.set_column(1, "name", pa.array(names)), path)
    async with connected(stack) as (client, key_id):
        order = order_for(tmp_path, key_id, Mode.VALUE, on_error)
        if on_error is OnError.FAIL:
            with pytest.raises(CellFailed, match=r"row 6,000, column name: ValueTooLong"):
                await run(order, client)
            return
        summary = await run(order, client)
    assert (summary.tally.rows, summary.tally.skipped) == (ROWS, 1)
    assert pq.read_metadata(order.target).num_rows == ROWS - 1
    if on_error is OnError.QUARANTINE:
        assert summary.quarantine is not None
        assert pq.read_table(summary.quarantine)["kmsq_error"].to_pylist() == ["name: ValueTooLong"]
