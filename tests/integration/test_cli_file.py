"""`kmsq file` against real workers, with real processes and signals."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from integration.test_cli_service import LOCAL_ERROR, SERVICE_ERROR, Command, environment_of
from services.stack import PrivateStack

DATA = os.urandom(3 * 1024 * 1024 + 17)


@pytest.fixture
def kmsq(stack: PrivateStack, tmp_path: Path) -> Command:
    """Return the command of the account's administrator, in a folder with a file."""
    (tmp_path / "dump").write_bytes(DATA)
    return Command(environment_of(stack.administrator_url), tmp_path)


@pytest.fixture
def kmsq_of_carol(principals: Mapping[str, str], tmp_path: Path) -> Command:
    """Return the command of somebody whom no policy allows anything."""
    return Command(environment_of(principals["carol"]), tmp_path)


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


async def test_a_file_is_encrypted_inspected_rewrapped_and_decrypted(kmsq: Command, tmp_path: Path) -> None:
    old, new = await kmsq.new_key(), await kmsq.new_key()
    await kmsq.do("file", "encrypt", "--key-id", old, "--context", "host=db1", "dump")
    shown = (await kmsq.run("file", "inspect", "dump.kmsq")).json
    assert (shown["KeyId"], shown["EncryptionContext"], shown["PlaintextBytes"]) == (old, {"host": "db1"}, len(DATA))

    await kmsq.do("file", "rewrap", "dump.kmsq", "--out", "same")  # newer material of its own key
    assert (await kmsq.run("file", "inspect", "same")).json["KeyId"] == old
    await kmsq.do("file", "rewrap", "--key-id", new, "dump.kmsq", "--replace")
    await kmsq.do("key", "disable", old)
    done = await kmsq.do("file", "decrypt", "dump.kmsq", "-o", "out", "--key-id", new, "--context", "host=db1")
    assert done.json["PlaintextBytes"] == len(DATA)
    assert (tmp_path / "out").read_bytes() == DATA
    refused = await kmsq.fails(SERVICE_ERROR, "file", "decrypt", "same", "-o", "none")
    assert refused.startswith("kmsq: DisabledException")
    assert not (tmp_path / "none").exists()


async def test_inspect_needs_no_service(kmsq: Command) -> None:
    await kmsq.do("file", "encrypt", "--key-id", await kmsq.new_key(), "dump")
    alone = Command({**kmsq.environment, "KMSQ_AMQP_URL": ""}, kmsq.folder)
    assert (await alone.do("file", "inspect", "dump.kmsq")).json["PlaintextBytes"] == len(DATA)


async def test_a_pipe_carries_a_file_through_both_commands(kmsq: Command) -> None:
    key = await kmsq.new_key()
    script = f"set -euo pipefail; kmsq file encrypt --key-id {key} - < dump | kmsq file decrypt - | cmp - dump"
    done = await kmsq.run(program=("bash", "-c", script))
    assert (done.code, done.err) == (0, "")


async def test_a_reader_that_has_had_enough_ends_it_without_a_word(kmsq: Command) -> None:
    await kmsq.do("file", "encrypt", "--key-id", await kmsq.new_key(), "dump")
    script = "kmsq file decrypt dump.kmsq --out - | head -c 7; exit ${PIPESTATUS[0]}"
    done = await kmsq.run(program=("bash", "-c", script))
    assert (done.code, done.out, done.err) == (LOCAL_ERROR, DATA[:7], "")


async def test_what_the_service_denies_fails_with_its_error_and_leaves_nothing(
    kmsq: Command, kmsq_of_carol: Command, tmp_path: Path
) -> None:
    key = await kmsq.new_key()
    denied = await kmsq_of_carol.fails(SERVICE_ERROR, "file", "encrypt", "--key-id", key, "dump")
    assert denied.startswith("kmsq: AccessDeniedException")
    missing = await kmsq.fails(SERVICE_ERROR, "file", "encrypt", "--key-id", "alias/none", "dump")
    assert missing.startswith("kmsq: NotFoundException")
    await kmsq.do("file", "encrypt", "--key-id", key, "dump")
    for command in (("decrypt", "-o", "out"), ("rewrap", "-o", "out")):
        denied = await kmsq_of_carol.fails(SERVICE_ERROR, "file", command[0], "dump.kmsq", *command[1:])
        assert denied.startswith("kmsq: AccessDeniedException")
    other = await kmsq.fails(
        SERVICE_ERROR, "file", "decrypt", "dump.kmsq", "-o", "out", "--key-id", await kmsq.new_key()
    )
    assert other.startswith("kmsq: IncorrectKeyException")
    assert names(tmp_path) == ["dump", "dump.kmsq"]


async def test_the_wrapped_key_of_another_file_and_damage_are_told_apart_from_denial(
    kmsq: Command, tmp_path: Path
) -> None:
    key = await kmsq.new_key()
    await kmsq.do("file", "encrypt", "--key-id", key, "dump")
    await kmsq.do("file", "encrypt", "--key-id", key, "dump", "-o", "other")
    one, other = ((tmp_path / name).read_bytes() for name in ("dump.kmsq", "other"))
    size = (await kmsq.run("file", "inspect", "dump.kmsq")).json["HeaderBytes"]
    wrapped = (await kmsq.run("file", "inspect", "dump.kmsq")).json["WrappedKeyBytes"]
    (tmp_path / "foreign").write_bytes(one[: size - wrapped] + other[size - wrapped : size] + one[size:])
    (tmp_path / "damaged").write_bytes(one[: size - 1] + bytes([one[size - 1] ^ 1]) + one[size:])
    foreign = await kmsq.fails(LOCAL_ERROR, "file", "decrypt", "foreign", "-o", "out")
    assert foreign.startswith("kmsq: InvalidEnvelope")
    damaged = await kmsq.fails(SERVICE_ERROR, "file", "decrypt", "damaged", "-o", "out")
    assert damaged.startswith("kmsq: InvalidCiphertextException")
    assert "take another copy" in damaged
    assert not (tmp_path / "out").exists()


async def test_ctrl_c_leaves_no_file_behind(kmsq: Command, tmp_path: Path) -> None:
    key = await kmsq.new_key()
    # Tests may run in the background of a shell, whose children ignore Ctrl-C unless told otherwise.
    command = ["env", "--default-signal=INT", "kmsq", "file", "encrypt", "--key-id", key, "-", "--out", "sealed"]
    with subprocess.Popen(  # noqa: ASYNC220  its pipes are what the test is about, and it is short
        command, env=kmsq.environment, cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(DATA)  # more than fits a pipe: so it is past the request, and waits for more
        process.stdin.flush()
        assert any(name.endswith(".partial") for name in names(tmp_path))
        process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(process.wait, 20) == LOCAL_ERROR
        assert b"Traceback" not in process.stderr.read()
    assert names(tmp_path) == ["dump"]


async def test_output_as_json_is_what_programs_read(kmsq: Command) -> None:
    key = await kmsq.new_key()
    done = await kmsq.do("--output", "json", "file", "encrypt", "--key-id", key, "--context", "a=b", "dump")
    shown = json.loads(done.out)
    assert shown.pop("Seconds") >= 0
    assert shown == {
        "Input": "dump",
        "Output": "dump.kmsq",
        "KeyId": key,
        "EncryptionContext": {"a": "b"},
        "PlaintextBytes": len(DATA),
    }
