"""Every command of `kmsq` teaches, and the doctor has a question for whatever may be asked."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from kmsq.cli.app import root
from kmsq.cli.choices import supported
from kmsq.cli.probes import PROBES
from kmsq.operations.base import make_request
from kmsq_schemas.models import DataKeyPairSpec, KeySpec, KeyUsage, SigningAlgorithm
from kmsq_schemas.operations import SPECS, Operation


def commands(group: click.Group = root, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command, groups included."""
    yield path
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


def help_of(*command: str) -> str:
    shown = CliRunner().invoke(root, [*command, "--help"], prog_name="kmsq")
    assert shown.exit_code == 0
    return shown.output


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
def test_every_command_shows_an_example(command: tuple[str, ...]) -> None:
    text = help_of(*command)
    lines = text.partition("Example")[2].partition("\n\n")[0].splitlines()[1:]
    assert lines
    assert all(line.startswith("    ") for line in lines), "as they are written, and not run together"
    assert any(line.lstrip().startswith("kmsq ") for line in lines)
    assert "\\b" not in text


def test_what_a_key_can_be_is_listed() -> None:
    text = help_of("key", "create")
    for value in (*supported(KeySpec), *supported(KeyUsage)):
        assert value in text, value
    assert "\n    HMAC_224, HMAC_256, HMAC_384, HMAC_512       GENERATE_VERIFY_MAC\n" in text


def test_what_kmsq_has_not_is_not_offered() -> None:
    assert "SM2" not in help_of("key", "create")
    assert {"SM2", "ML_KEM_512"} & {*supported(KeySpec), *supported(DataKeyPairSpec)} == set()
    assert {"SM2DSA", "ED25519_PH_SHA_512"} & {*supported(SigningAlgorithm)} == set()


def test_the_doctor_can_ask_whatever_changes_nothing() -> None:
    assert set(PROBES) == {operation for operation, spec in SPECS.items() if not spec.is_change}


@pytest.mark.parametrize("operation", list(PROBES), ids=lambda operation: operation.value)
def test_what_the_doctor_asks_is_a_request(operation: Operation) -> None:
    request = make_request(operation, PROBES[operation])
    assert getattr(request, "dry_run", True) in (True, None)
    named = {getattr(request, field) for field in type(request).model_fields if field.endswith("key_id")}
    assert named <= {"alias/kmsq-doctor", None}
