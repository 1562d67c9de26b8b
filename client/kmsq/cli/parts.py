"""Replies with a secret in them: each part into a new private file, what remains as JSON, and no secret on a terminal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from kmsq.cli.files import on_terminal, refuse_existing, write_new_private
from kmsq.cli.output import plain, show_json
from kmsq.cli.session import Failure
from kmsq_schemas.models.base import wire_name


@dataclass(frozen=True, slots=True)
class Part:
    """A field of a reply, and the file that it goes to; without one it is printed."""

    field: str
    path: str | None
    write: Callable[[bytes], bytes] = bytes
    """From the field's bytes to those of the file."""


def refuse_secret_on_terminal(what: str, instead: str) -> None:
    """Raise `Failure` if standard output is a terminal; `instead` says what to do."""
    if on_terminal():
        message = f"{what} would be printed on the terminal"
        raise Failure(message, hint=instead)


def refuse_existing_files(*paths: str | None) -> None:
    """Raise `Failure` if any exists. Before the request: what it makes would be lost."""
    for path in filter(None, paths):
        refuse_existing(path)


def deliver(reply: BaseModel, parts: Sequence[Part]) -> None:
    """
    Write the parts of `reply` in this order, and print the rest as JSON, bytes in base64.

    Put what a secret can be had back from before the secret: one without it must not come into use. Raises `Failure`.
    """
    values = plain(reply)
    for part in parts:
        if part.path is not None:
            write_new_private(part.path, part.write(getattr(reply, part.field)))
            del values[wire_name(part.field)]
    show_json(values)
