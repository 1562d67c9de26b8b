"""Long work, a step at a time: how far it is, what goes wrong on the way, how long it took."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from kmsq.cli.session import Failure
from kmsq.errors import InvalidEnvelope, KmsqError

ALTERED = (
    "`kmsq file inspect FILE` shows its key and context. If those are right, it was altered or cut off: "
    "take another copy."
)


@dataclass(frozen=True, slots=True)
class Done:
    """How many bytes were worked through, and how long that took."""

    count: int
    seconds: float


def run_steps(label: str, steps: Iterator[int], total_bytes: int | None) -> Done:
    """Run all steps, on this thread, so that Ctrl-C ends them at once. Raises `Failure`."""
    began, count = time.monotonic(), 0
    with working(), _progress(label, total_bytes) as advance:
        for size in steps:
            count += size
            advance(size)
    return Done(count, time.monotonic() - began)


@contextmanager
def working() -> Iterator[None]:
    """Present what goes wrong with the data or the files. Raises `Failure`."""
    try:
        yield
    except KmsqError as error:
        message = f"{type(error).__name__}: {error}"
        raise Failure(message, hint=ALTERED if isinstance(error, InvalidEnvelope) else None) from error
    except BrokenPipeError:
        raise  # click's business: whoever read has had enough
    except OSError as error:
        message = f"reading or writing failed: {error.strerror or error}"
        raise Failure(message) from error


@contextmanager
def _progress(label: str, total_bytes: int | None) -> Iterator[Callable[[int], None]]:
    """Yield what to call with the number of bytes done since the last call. Shows nothing unless on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(label, total=total_bytes)
        yield lambda count: shown.advance(task, count)
