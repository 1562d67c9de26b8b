"""What the commands of `kmsq column` share: signals, and how to go on after whatever ended a run."""

import asyncio
import shlex
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from kmsq.cli.session import Failure, Session
from kmsq.client import Client
from kmsq.column.engine import paths_of
from kmsq.column.errors import (
    Busy,
    CellFailed,
    InputChanged,
    Interrupted,
    JournalDamaged,
    JournalExists,
    JournalMismatch,
    NothingToResume,
    PlanRefused,
)
from kmsq.column.plan import Order
from kmsq.column.workspace import is_begun
from kmsq.errors import KmsqError

SIGNALED = 128  # plus the signal's number: what a shell says of a program that a signal ended
# After these there is nothing to go on from, or another run's work.
NOTHING_LEFT = (Busy, InputChanged, JournalDamaged, JournalExists, JournalMismatch, NothingToResume, PlanRefused)

T = TypeVar("T")


class InterruptedFailure(Failure):
    """The run was stopped by Ctrl-C."""

    exit_code = SIGNALED + signal.SIGINT


class TerminatedFailure(Failure):
    """The run was stopped by SIGTERM."""

    exit_code = SIGNALED + signal.SIGTERM


STOPPING = {signal.SIGINT: InterruptedFailure, signal.SIGTERM: TerminatedFailure}


def run_stoppable(session: Session, order: Order, work: Callable[[Client, asyncio.Event], Awaitable[T]]) -> T:
    """Do `work`, which ends with `Interrupted` at its event: the first Ctrl-C or SIGTERM. Raises `Failure`."""
    received: list[signal.Signals] = []

    async def task(client: Client) -> T:
        stop = asyncio.Event()
        with _noting(received, stop):
            try:
                return await work(client, stop)
            except KmsqError as error:
                raise _failure(error, order, received) from error

    return session.run(task)


@contextmanager
def _noting(received: list[signal.Signals], stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def note(number: signal.Signals) -> None:
        received.append(number)
        stop.set()

    for number in STOPPING:
        loop.add_signal_handler(number, note, number)
    try:
        yield
    finally:
        for number in STOPPING:
            loop.remove_signal_handler(number)


def _failure(error: KmsqError, order: Order, received: Sequence[signal.Signals]) -> Failure:
    failure = Failure.of(error)
    if isinstance(error, Interrupted) and received:
        failure = STOPPING[received[0]](str(error))
    hints = [failure.hint, *_ways_on(error, order)]
    failure.hint = "\n  ".join(filter(None, hints)) or None
    return failure


def _ways_on(error: KmsqError, order: Order) -> Iterator[str]:
    if isinstance(error, CellFailed):
        yield "--on-error skip leaves such rows out, --on-error quarantine keeps them in another file."
    if not isinstance(error, NOTHING_LEFT) and is_begun(paths_of(order)):
        yield f"What was done is kept. To go on: {resuming(sys.argv)}"


def resuming(arguments: Sequence[str]) -> str:
    """Return the command that goes on, to be pasted into a shell; without the URL, which has a password."""
    words = [Path(arguments[0]).name]
    rest = iter(arguments[1:])
    for word in rest:
        if word == "--amqp-url":
            next(rest, None)
        elif not word.startswith("--amqp-url=") and word not in {"--resume", "--restart"}:
            words.append(word)
    return shlex.join([*words, "--resume"])
