"""What every command stands on: how to reach the service, how to print, how to fail."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, Any, TypeVar

import click
from typing_extensions import override

from kmsq.cli.advice import advice
from kmsq.client import Client
from kmsq.errors import KmsqError, ServiceError

CONNECT_SECONDS = 5.0  # a person waits in front of the command
LOCAL_ERROR = 1
SERVICE_ERROR = 2

T = TypeVar("T")


class Output(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"


class Failure(click.ClickException):
    """What went wrong here, with advice."""

    exit_code = LOCAL_ERROR

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    @staticmethod
    def of(error: KmsqError) -> "Failure":
        """Present an error of the client."""
        if isinstance(error, ServiceError):
            return ServiceFailure(str(error), hint=advice(error))
        return Failure(f"{type(error).__name__}: {error}", hint=advice(error))

    @override
    def show(self, file: IO[Any] | None = None) -> None:
        """Print to standard error."""
        click.echo(f"kmsq: {self.message}", file=file or sys.stderr)
        if self.hint:
            click.echo(f"  {self.hint}", file=file or sys.stderr)


class ServiceFailure(Failure):
    """What the service answered."""

    exit_code = SERVICE_ERROR


@dataclass(frozen=True, slots=True)
class Settings:
    """The global options."""

    amqp_url: str | None = field(repr=False)
    timeout_seconds: float
    worker_user: str
    output: Output


Connect = Callable[[Settings], Client]


def connect(settings: Settings) -> Client:
    """Make a client for the settings."""
    quiet()
    return Client(
        require_url(settings),
        timeout_seconds=settings.timeout_seconds,
        connect_timeout_seconds=min(CONNECT_SECONDS, settings.timeout_seconds),
        worker_user=settings.worker_user,
    )


def quiet() -> None:
    """Silence the logs of driver and client: the command is about to say the same itself."""
    for name in ("aiormq", "kmsq"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def require_url(settings: Settings) -> str:
    """Return the AMQP URL. Raises `Failure` when none was given."""
    if not settings.amqp_url:
        raise Failure(
            "no broker to connect to",
            hint="set KMSQ_AMQP_URL (or --amqp-url, which others can see in `ps`) to amqp://user:password@host:5672/",
        )
    return settings.amqp_url


@dataclass(frozen=True, slots=True)
class Session:
    """One run of the command."""

    settings: Settings
    connect: Connect = connect

    def run(self, task: Callable[[Client], Awaitable[T]]) -> T:
        """Connect, do `task`, disconnect. Raises `Failure`."""

        async def inside() -> T:
            async with self.connect(self.settings) as client:
                return await task(client)

        try:
            return asyncio.run(inside())
        except KmsqError as error:
            raise Failure.of(error) from error


pass_session = click.make_pass_decorator(Session)
