"""`kmsq file …`: files of any size in envelopes (docs/envelope.md)."""

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import click

from kmsq.cli.copying import copy_steps
from kmsq.cli.data import CONTEXT, pairs
from kmsq.cli.files import STANDARD, refuse_terminal
from kmsq.cli.output import say, show_json, show_table
from kmsq.cli.replacing import Input, open_source, open_target, refuse_itself
from kmsq.cli.session import Failure, Output, Session, pass_session
from kmsq.cli.steps import ALTERED, Done, run_steps, working
from kmsq.client import Client
from kmsq.envelope import Envelope, EnvelopeHeader, inspect, rewrap_header
from kmsq.envelope.chunks import plaintext_bytes
from kmsq.envelope.streams import open_steps, seal_steps, write_all
from kmsq.errors import InvalidCiphertextException, InvalidEnvelope

SUFFIX = ".kmsq"

T = TypeVar("T")

SOURCE = click.argument("source", metavar="IN")
FORCE = click.option("--force", is_flag=True, help="Overwrite an existing file, when all is done.")


@click.group()
def file() -> None:
    r"""
    Encrypt files of any size, on this side, under data keys that the service wraps.

    The data do not travel: each command but `inspect` costs one request. - stands for standard input and output.

    \b
    Examples:
      kmsq file encrypt --key-id alias/backup --context host=db1 db.dump
      kmsq file inspect db.dump.kmsq
      kmsq file decrypt db.dump.kmsq
    """


@file.command()
@SOURCE
@click.option("--key-id", metavar="KEY", required=True, help="The key that wraps the data key: an id, ARN or alias.")
@CONTEXT
@click.option("-o", "--out", "target", metavar="OUT", show_default="IN.kmsq", help="Where to write.")
@FORCE
@pass_session
def encrypt(
    session: Session, *, source: str, key_id: str, context: dict[str, str], target: str | None, force: bool
) -> None:
    r"""
    Encrypt the file IN.

    The key and the context stand in OUT, which has the permissions of IN. OUT appears when it is complete.

    \b
    Examples:
      kmsq file encrypt --key-id alias/backup --context host=db1 db.dump
      pg_dump orders | kmsq file encrypt --key-id alias/backup - > orders.kmsq
    """
    target = target or (STANDARD if source == STANDARD else source + SUFFIX)
    refuse_terminal(target, "the envelope")
    refuse_itself(source, target)
    with open_source(source) as given, open_target(target, permissions=given.permissions, replace=force) as made:
        header, sealer = _ask(session, lambda client: Envelope(client, key_id).begin_sealing(context=context))
        done = run_steps("encrypting", seal_steps(header, sealer, given.file, made), given.size)
    _report(session, source, target, header, done)


@file.command()
@SOURCE
@click.option("-o", "--out", "target", metavar="OUT", show_default="IN without .kmsq", help="Where to write.")
@click.option("--key-id", metavar="KEY", help="Insist that this key wraps the data key.")
@click.option(
    "--context",
    multiple=True,
    metavar="NAME=VALUE",
    callback=pairs,
    help="Insist on this encryption context, all of it. Repeatable. Without, the file's own is used.",
)
@FORCE
@pass_session
def decrypt(
    session: Session,
    *,
    source: str,
    target: str | None,
    key_id: str | None,
    context: dict[str, str],
    force: bool,
) -> None:
    r"""
    Decrypt the file IN, which `kmsq file encrypt` made.

    OUT appears when everything in it was verified, and only its owner can read it. With --out - that cannot be: bytes
    are written as soon as each is known to be authentic, but whether the end is missing is known at the end. If the
    exit code is not 0, throw away what was written.

    \b
    Examples:
      kmsq file decrypt db.dump.kmsq
      set -o pipefail; kmsq file decrypt --context host=db1 db.dump.kmsq --out - | head
    """
    target = target or _without_suffix(source)
    refuse_itself(source, target)
    with open_source(source) as given, open_target(target, replace=force) as made:
        header = _inspect(given)
        opener = _ask(
            session,
            lambda client: Envelope(client).begin_opening(header, context=context or None, key_id=key_id),
        )
        done = run_steps("decrypting", open_steps(opener, given.file, made), _plaintext_bytes(given, header))
    _report(session, source, target, header, done)


@file.command()
@SOURCE
@click.option("--key-id", metavar="KEY", show_default="the key it has", help="The key to wrap the data key under.")
@click.option("-o", "--out", "target", metavar="OUT", help="Where to write.")
@click.option("--replace", is_flag=True, help="Put the new file in the place of IN, when it is complete.")
@FORCE
@pass_session
def rewrap(
    session: Session, *, source: str, key_id: str | None, target: str | None, replace: bool, force: bool
) -> None:
    r"""
    Wrap the data key of IN under another key, or newer material of its own. The data are copied, not decrypted.

    Nothing of the data is verified. Give --out, or --replace.

    \b
    Examples:
      kmsq file rewrap --key-id alias/archive db.dump.kmsq --replace
      kmsq file rewrap db.dump.kmsq --out moved.kmsq
    """
    target = _rewrapped(source, target, replace=replace)
    refuse_terminal(target, "the envelope")
    if not replace:
        refuse_itself(source, target)
    replacing = replace or force
    with (
        open_source(source) as given,
        open_target(
            target,
            permissions=given.permissions,
            instead_of=given if replace else None,
            replace=replacing,
        ) as made,
    ):
        before = _inspect(given)
        destination = key_id or before.key_id
        if destination is None:
            raise Failure("the file does not say which key it has", hint="Give --key-id.")
        header = _ask(session, lambda client: rewrap_header(client, before, destination))
        with working():
            write_all(made, memoryview(header.encode()))
        done = run_steps("copying", copy_steps(given.file, made), given.size)
    _report(session, source, target, header, done, counted="CopiedBytes")


@file.command("inspect")
@SOURCE
@pass_session
def inspect_(session: Session, *, source: str) -> None:
    r"""
    Show key, context and size of the file IN. Asks nobody.

    Nothing of what it shows is verified: that takes `kmsq file decrypt`.

    \b
    Example:
      kmsq --output json file inspect db.dump.kmsq | jq -r .KeyId
    """
    with open_source(source) as given:
        header = _inspect(given)
    fields: dict[str, object] = {
        "KeyId": header.key_id,
        "EncryptionContext": dict(header.context),
        "HeaderBytes": len(header.encode()),
        "WrappedKeyBytes": len(header.wrapped_key),
    }
    if given.size is not None:
        fields["PlaintextBytes"] = _plaintext_bytes(given, header)
        if fields["PlaintextBytes"] is None:
            click.echo(f"kmsq: {source} is not complete", err=True)
    if session.settings.output is Output.JSON:
        show_json(fields)
    else:
        show_table(["FIELD", "VALUE"], [[name, _shown(value)] for name, value in fields.items()])


def _ask(session: Session, task: Callable[[Client], Awaitable[T]]) -> T:
    try:
        return session.run(task)
    except Failure as failure:
        # The usual advice is to give the right context, which here stands in the file.
        if isinstance(failure.__cause__, InvalidEnvelope | InvalidCiphertextException):
            failure.hint = ALTERED
        raise


def _inspect(given: Input) -> EnvelopeHeader:
    with working():
        return inspect(given.file)


def _plaintext_bytes(given: Input, header: EnvelopeHeader) -> int | None:
    """Return how long the plaintext is, where that can be known."""
    if given.size is None:
        return None
    try:
        return plaintext_bytes(given.size - len(header.encode()))
    except InvalidEnvelope:
        return None


def _without_suffix(source: str) -> str:
    if source == STANDARD:
        return STANDARD
    name = source.removesuffix(SUFFIX)
    if name == source or not os.path.basename(name):  # noqa: PTH119  a Path would forget a slash at the end
        message = f"{source} does not end with {SUFFIX}, so that what to call the decrypted file is not clear"
        raise Failure(message, hint="Say it with --out.")
    return name


def _rewrapped(source: str, target: str | None, *, replace: bool) -> str:
    if replace:
        if target is not None or source == STANDARD:
            raise click.UsageError("--replace takes a file and no --out")
        return source
    if target is None and source != STANDARD:
        raise click.UsageError("give --out, or --replace to put the new file in the place of the old one")
    return target or STANDARD


def _shown(value: object) -> str:
    match value:
        case None:
            return "unknown"
        case Mapping():
            return ", ".join(_printable(f"{name}={text}") for name, text in value.items())
        case int():
            return f"{value:,}"
        case _:
            return str(value)


def _printable(text: str) -> str:
    # Whoever made the file chose its context, and would otherwise write to this terminal what he likes.
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _report(
    session: Session,
    source: str,
    target: str,
    header: EnvelopeHeader,
    done: Done,
    *,
    counted: str = "PlaintextBytes",
) -> None:
    """Say what was done, unless the data themselves went to standard output."""
    if target == STANDARD:
        return
    if session.settings.output is Output.JSON:
        show_json(
            {
                "Input": click.format_filename(source),  # names need not be UTF-8; what is printed must
                "Output": click.format_filename(target),
                "KeyId": header.key_id,
                "EncryptionContext": dict(header.context),
                counted: done.count,
                "Seconds": round(done.seconds, 3),
            }
        )
        return
    rate = done.count / 1e6 / max(done.seconds, 1e-9)
    say(session, f"{target}: {done.count / 1e6:,.1f} MB in {done.seconds:,.1f} s, {rate:,.0f} MB/s")
