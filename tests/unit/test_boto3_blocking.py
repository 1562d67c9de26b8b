"""What carries the calls of threads: one connection, opened late, closed well, never shared with a forked process."""

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from types import FrameType

import pytest

from kmsq.client import Client
from kmsq.errors import ClientClosed, NotConnected, NotFoundException
from kmsq.integrations.blocking import BlockingClient, close_all
from kmsq_schemas.models import GenerateRandomReply, GenerateRandomRequest, Reply, Request
from kmsq_schemas.operations import Operation

SOON_SECONDS = 20.0  # whoever waits so long has been forgotten


class Kms:
    """A transport that tests script, and the clients that use it."""

    def __init__(self) -> None:
        self.made: list[float] = []  # how long each client waits for its first connection
        self.opened = 0
        self.closed = 0
        self.timeouts: list[float] = []
        self.cancelled = 0
        self.answer: Callable[[], Reply] | None = lambda: GenerateRandomReply(plaintext=b"r")
        self.opening: Callable[[], None] | None = lambda: None  # None: it takes for ever
        self.gather = 1  # calls that are answered together
        self._waiting: list[asyncio.Future[None]] = []

    def make_client(self, connect_timeout_seconds: float) -> Client:
        self.made.append(connect_timeout_seconds)
        return ScriptedClient(self)

    @asynccontextmanager
    async def transport(self) -> AsyncIterator["Kms"]:
        if self.opening is None:
            await asyncio.Event().wait()
        else:
            self.opening()
        self.opened += 1
        try:
            yield self
        finally:
            self.closed += 1

    async def call(self, operation: Operation, request: Request, *, timeout_seconds: float) -> Reply:  # noqa: ARG002
        self.timeouts.append(timeout_seconds)
        try:
            if self.answer is None:
                await asyncio.Event().wait()
            self._waiting.append(asyncio.get_running_loop().create_future())
            if len(self._waiting) == self.gather:
                for waiting in self._waiting:
                    waiting.set_result(None)
                self._waiting.clear()
            else:
                await self._waiting[-1]
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        assert self.answer is not None
        return self.answer()


class ScriptedClient(Client):
    def __init__(self, kms: Kms) -> None:
        self._prepare(kms.transport, principal="alice", timeout_seconds=1)


@pytest.fixture
def kms() -> Kms:
    return Kms()


@pytest.fixture
def client(kms: Kms) -> Iterator[BlockingClient]:
    client = BlockingClient(kms.make_client)
    yield client
    client.close()


def ask(client: BlockingClient, *, connect_timeout_seconds: float = SOON_SECONDS) -> Reply:
    return client.call(
        Operation.GENERATE_RANDOM,
        GenerateRandomRequest(number_of_bytes=1),
        connect_timeout_seconds=connect_timeout_seconds,
        timeout_seconds=5.0,
    )


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + SOON_SECONDS
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


@contextmanager
def elsewhere(
    client: BlockingClient, *, connect_timeout_seconds: float = SOON_SECONDS
) -> Iterator[list[BaseException]]:
    """Ask in another thread; the list holds the exception when that has ended."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            ask(client, connect_timeout_seconds=connect_timeout_seconds)
        except Exception as error:  # noqa: BLE001  the test looks at it
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield failures
    finally:
        thread.join(SOON_SECONDS)
        assert not thread.is_alive()


def test_nothing_is_opened_before_the_first_call(kms: Kms, client: BlockingClient) -> None:
    before = threading.active_count()
    assert (kms.made, kms.opened) == ([], 0)
    assert ask(client, connect_timeout_seconds=7) == GenerateRandomReply(plaintext=b"r")
    assert (kms.made, kms.opened, kms.timeouts) == ([7], 1, [5.0])
    assert threading.active_count() == before + 1


def test_the_calls_of_many_threads_are_under_way_at_once_on_one_connection(kms: Kms, client: BlockingClient) -> None:
    kms.gather = 20
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda _: ask(client), range(100)))
    assert len(replies) == 100
    assert (kms.opened, len(kms.made)) == (1, 1)


def test_an_error_of_the_service_is_raised_in_the_thread_that_asked(kms: Kms, client: BlockingClient) -> None:
    def answer() -> Reply:
        raise NotFoundException("no such key")

    kms.answer = answer
    with pytest.raises(NotFoundException, match="no such key"):
        ask(client)
    kms.answer = lambda: GenerateRandomReply(plaintext=b"r")
    ask(client)
    assert kms.opened == 1


def test_closing_fails_the_calls_under_way_and_the_next_call_opens_again(kms: Kms, client: BlockingClient) -> None:
    kms.answer = None
    with elsewhere(client) as failures:
        wait_until(lambda: len(kms.timeouts) == 1)
        client.close()
        assert kms.closed == 1
    assert [type(failure) for failure in failures] == [ClientClosed]
    kms.answer = lambda: GenerateRandomReply(plaintext=b"r")
    ask(client)
    assert kms.opened == 2
    client.close()
    client.close()
    assert kms.closed == 2


def test_closing_ends_an_opening_that_takes_for_ever(kms: Kms, client: BlockingClient) -> None:
    kms.opening = None
    with elsewhere(client) as failures:
        wait_until(lambda: len(kms.made) == 1)
        client.close()
    assert [type(failure) for failure in failures] == [ClientClosed]
    assert kms.opened == 0


def test_no_call_is_forgotten_when_others_close_all_the_time(kms: Kms, client: BlockingClient) -> None:
    outcomes: list[str] = []

    def run(_number: int) -> None:
        try:
            ask(client)
        except ClientClosed:
            outcomes.append("closed")
        else:
            outcomes.append("answered")

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(run, number) for number in range(400)]
        while not all(future.done() for future in asked):
            client.close()
            time.sleep(0.002)
    assert len(outcomes) == 400
    assert "answered" in outcomes
    client.close()
    assert kms.opened == kms.closed


def test_a_failure_to_connect_reaches_the_caller_and_the_next_call_tries_again(
    kms: Kms, client: BlockingClient
) -> None:
    def opening() -> None:
        raise NotConnected("is RabbitMQ there?")

    kms.opening = opening
    for _ in range(2):
        with pytest.raises(NotConnected, match="is RabbitMQ there"):
            ask(client)
    client.close()  # nothing is left of what failed
    kms.opening = lambda: None
    ask(client)
    assert (len(kms.made), kms.opened) == (3, 1)


def test_who_has_less_time_to_connect_gives_up_alone(kms: Kms, client: BlockingClient) -> None:
    kms.opening = None
    with elsewhere(client) as failures:
        wait_until(lambda: len(kms.made) == 1)
        started = time.monotonic()
        with pytest.raises(NotConnected, match=r"within 0\.1 s"):
            ask(client, connect_timeout_seconds=0.1)
        assert time.monotonic() - started < 4
        assert (failures, len(kms.made)) == ([], 1)
        client.close()


def test_an_interrupted_caller_takes_the_call_back(kms: Kms, client: BlockingClient) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise Interrupted

    kms.answer = None
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(Interrupted):
            ask(client)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    wait_until(lambda: kms.cancelled == 1)


def test_a_failure_while_closing_is_reported_and_not_swallowed(kms: Kms) -> None:
    class Broken(ScriptedClient):
        @asynccontextmanager
        async def _broken(self) -> AsyncIterator[Kms]:
            yield kms
            raise RuntimeError("broken goodbye")

        def __init__(self, kms: Kms) -> None:
            super().__init__(kms)
            self._connect = self._broken

        async def __aexit__(self, *_details: object) -> None:
            await super().__aexit__(None, None, None)

    reported: list[BaseException | None] = []
    before = threading.excepthook
    threading.excepthook = lambda failure: reported.append(failure.exc_value)
    try:
        client = BlockingClient(lambda _seconds: Broken(kms))
        ask(client)
        client.close()
    finally:
        threading.excepthook = before
    assert [str(failure) for failure in reported] == ["broken goodbye"]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")  # of Python 3.12 on: it is what we test
def test_a_forked_process_opens_a_connection_of_its_own_and_leaves_the_parents_alone(
    kms: Kms, client: BlockingClient
) -> None:
    ask(client)
    line = client._line
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)

    def child() -> None:
        assert client._line is None
        ask(client)
        close_all()
        send.send((os.getpid(), kms.opened, kms.closed))

    client._lock.acquire()  # as if another thread were in the middle of it
    process = context.Process(target=child, daemon=True)
    process.start()
    client._lock.release()
    assert receive.poll(SOON_SECONDS)
    pid, opened, closed = receive.recv()
    process.join(SOON_SECONDS)
    assert (pid, process.exitcode) == (process.pid, 0)
    assert (opened, closed) == (2, 1)
    ask(client)
    assert client._line is line
    assert (kms.opened, kms.closed) == (1, 0)


def test_the_connection_is_closed_when_the_program_ends() -> None:
    script = """
from contextlib import asynccontextmanager
from kmsq.client import Client
from kmsq.integrations.blocking import BlockingClient
from kmsq.testing import FakeKms
from kmsq_schemas.models import GenerateRandomRequest
from kmsq_schemas.operations import Operation

class Loud(Client):
    def __init__(self):
        self._prepare(self.open, principal="alice", timeout_seconds=1)

    @asynccontextmanager
    async def open(self):
        async with FakeKms().client() as fake:
            try:
                yield fake
            finally:
                print("said goodbye")

client = BlockingClient(lambda _seconds: Loud())
request = GenerateRandomRequest(number_of_bytes=1)
client.call(Operation.GENERATE_RANDOM, request, connect_timeout_seconds=9, timeout_seconds=9)
print("end of the program")
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "end of the program\nsaid goodbye\n"
