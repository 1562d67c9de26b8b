"""The command `kmsq` against real workers: what it prints, what it exits with, and that the README tells the truth."""

import asyncio
import base64
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.stack import PROGRAMS, ROOT, PrivateStack

EVERY_BYTE = bytes(range(256))  # NUL, line ends and what is no UTF-8 among them
LOCAL_ERROR = 1
SERVICE_ERROR = 2
WAITING_DAYS = 7


@dataclass(frozen=True, slots=True)
class Done:
    """What a finished command left."""

    code: int
    out: bytes
    err: str

    @property
    def json(self) -> Any:
        """What it printed, which must be JSON."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Command:
    """The command `kmsq` of one principal."""

    environment: Mapping[str, str] = field(repr=False)
    folder: Path

    async def run(self, *arguments: str | Path, stdin: bytes = b"", program: Sequence[str] = ("kmsq",)) -> Done:
        """Run it to its end, whatever that is."""

        def run() -> Done:
            done = subprocess.run(
                [*program, *arguments],
                env=self.environment,
                cwd=self.folder,
                input=stdin,
                capture_output=True,
                check=False,
            )
            return Done(done.returncode, done.stdout, done.stderr.decode())

        return await asyncio.to_thread(run)

    async def do(self, *arguments: str | Path, stdin: bytes = b"") -> Done:
        """Run it; it must succeed."""
        done = await self.run(*arguments, stdin=stdin)
        assert done.code == 0, done.err
        return done

    async def fails(self, code: int, *arguments: str | Path, stdin: bytes = b"") -> str:
        """Run it; it must exit with `code`, print nothing but an error, and return that."""
        done = await self.run(*arguments, stdin=stdin)
        assert (done.code, done.out) == (code, b""), done.err
        assert "Traceback" not in done.err
        return done.err

    async def new_key(self, *options: str | Path) -> str:
        """Create a key and return its id."""
        key_id: str = (await self.do("key", "create", *options)).json["KeyId"]
        return key_id


def environment_of(url: str) -> dict[str, str]:
    """Return the environment of a person's shell who has the command and this URL."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("KMSQ_")}
    return {**inherited, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}", "KMSQ_AMQP_URL": url}


@pytest.fixture
def kmsq(stack: PrivateStack, tmp_path: Path) -> Command:
    """Return the command of the account's administrator."""
    return Command(environment_of(stack.administrator_url), tmp_path)


@pytest.fixture
def kmsq_of_carol(principals: Mapping[str, str], tmp_path: Path) -> Command:
    """Return the command of somebody whom no policy allows anything."""
    return Command(environment_of(principals["carol"]), tmp_path)


def new_alias() -> str:
    return f"alias/cli-{uuid4().hex}"


def readme_round_trip() -> str:
    """Return the commands of the README's round trip, without those that start and enter a stack."""
    section = (ROOT / "README.md").read_text().partition("\n## The round trip\n")[2].partition("\n## ")[0]
    lines = [line.strip() for line in section.splitlines() if line.startswith("    ")]
    return "\n".join(line for line in lines if line.startswith(("kmsq ", "echo ")))


async def test_the_readmes_round_trip_works_as_it_is_printed(kmsq: Command) -> None:
    script = readme_round_trip()
    assert "kmsq encrypt" in script
    assert "kmsq decrypt" in script
    try:
        done = await kmsq.run(program=("bash", "-euo", "pipefail", "-c", script))
        assert done.code == 0, done.err
        assert done.out.endswith(b"a secret\n")
        (entry,) = [
            alias for alias in (await kmsq.do("alias", "list")).json["Aliases"] if "orders" in alias["AliasName"]
        ]
        assert (await kmsq.do("key", "show", "alias/orders")).json["KeyId"] == entry["TargetKeyId"]
    finally:
        await kmsq.run("alias", "delete", "alias/orders")


@pytest.mark.parametrize(
    "plaintext",
    [EVERY_BYTE, EVERY_BYTE * 16, b"\n", b"\0", b"no line end", b"\r\n\x1a\xff\xfe"],
    ids=["every-byte", "the-longest", "a-line-end", "a-nul", "no-line-end", "no-text"],
)
async def test_bytes_come_out_of_a_pipe_as_they_went_in(kmsq: Command, plaintext: bytes) -> None:
    key = await kmsq.new_key()
    context = ("--context", "order=17", "--context", "naïve=a=b")
    sealed = await kmsq.do("encrypt", key, *context, stdin=plaintext)
    assert (await kmsq.do("decrypt", *context, stdin=sealed.out)).out == plaintext
    assert (await kmsq.do("decrypt", "--key", key, *context, stdin=sealed.out)).out == plaintext
    assert sealed.err == ""


async def test_files_hold_the_same_bytes_and_are_only_their_owners(kmsq: Command, tmp_path: Path) -> None:
    key = await kmsq.new_key()
    (tmp_path / "in").write_bytes(EVERY_BYTE)
    assert (await kmsq.do("encrypt", key, "--in", "in", "--out", "sealed")).out == b""
    assert (await kmsq.do("decrypt", "--in", "sealed", "--out", "opened")).out == b""
    assert (tmp_path / "opened").read_bytes() == EVERY_BYTE
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("sealed", "opened")] == [0o600, 0o600]


async def test_reencrypt_moves_a_ciphertext_to_another_key_and_context(kmsq: Command) -> None:
    old, new = await kmsq.new_key(), await kmsq.new_key()
    sealed = await kmsq.do("encrypt", old, "--context", "order=17", stdin=EVERY_BYTE)
    moved = await kmsq.do("reencrypt", new, "--from-context", "order=17", "--context", "order=18", stdin=sealed.out)
    opened = await kmsq.do("decrypt", "--key", new, "--context", "order=18", stdin=moved.out)
    assert opened.out == EVERY_BYTE
    refused = await kmsq.fails(SERVICE_ERROR, "decrypt", "--key", old, "--context", "order=18", stdin=moved.out)
    assert refused.startswith("kmsq: IncorrectKeyException")


async def test_a_data_key_is_printed_with_its_wrapped_form_which_decrypt_opens(kmsq: Command) -> None:
    key = await kmsq.new_key()
    made = (await kmsq.do("data-key", key, "--context", "order=17")).json
    plaintext = base64.b64decode(made["Plaintext"])
    assert len(plaintext) == 32
    wrapped = base64.b64decode(made["CiphertextBlob"])
    assert (await kmsq.do("decrypt", "--context", "order=17", stdin=wrapped)).out == plaintext
    bare = (await kmsq.do("data-key", key, "--without-plaintext", "--bytes", "17")).json
    assert "Plaintext" not in bare
    assert len((await kmsq.do("decrypt", stdin=base64.b64decode(bare["CiphertextBlob"]))).out) == 17


async def test_a_data_key_goes_to_new_private_files_and_never_over_old_ones(kmsq: Command, tmp_path: Path) -> None:
    key = await kmsq.new_key()
    files = ("--plaintext-out", "key", "--ciphertext-out", "key.wrapped")
    printed = (await kmsq.do("data-key", key, "--spec", "AES_128", *files)).json
    assert not {"Plaintext", "CiphertextBlob"} & printed.keys()
    plaintext = (tmp_path / "key").read_bytes()
    assert len(plaintext) == 16
    assert (await kmsq.do("decrypt", "--in", "key.wrapped")).out == plaintext
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("key", "key.wrapped")] == [0o600, 0o600]
    assert "key exists" in await kmsq.fails(LOCAL_ERROR, "data-key", key, *files)
    assert (tmp_path / "key").read_bytes() == plaintext


async def test_random_writes_as_many_bytes_as_were_asked_for_and_others_each_time(kmsq: Command) -> None:
    drawn = [(await kmsq.do("random", "1024")).out for _ in range(2)]
    assert [len(each) for each in drawn] == [1024, 1024]
    assert drawn[0] != drawn[1]


async def test_a_key_lives_from_its_creation_to_its_deletion_and_back(kmsq: Command) -> None:
    key = await kmsq.new_key("--description", "for a while")
    shown = (await kmsq.do("key", "show", key)).json
    assert (shown["KeyId"], shown["Description"], shown["KeyState"]) == (key, "for a while", "Enabled")
    listed = (await kmsq.do("key", "list")).json["Keys"]
    assert {"KeyId": key, "KeyArn": shown["Arn"]} in listed

    async def state() -> str:
        found: str = (await kmsq.do("key", "show", shown["Arn"])).json["KeyState"]
        return found

    async def refusal() -> str:
        return await kmsq.fails(SERVICE_ERROR, "encrypt", key, stdin=b"x")

    assert (await kmsq.do("key", "disable", key)).out == b""
    assert await state() == "Disabled"
    assert (await refusal()).startswith("kmsq: DisabledException")
    await kmsq.do("key", "enable", key)
    await kmsq.do("encrypt", key, stdin=b"x")

    deletion = (await kmsq.do("key", "schedule-deletion", key, "--days", str(WAITING_DAYS))).json
    assert (deletion["KeyState"], deletion["PendingWindowInDays"]) == ("PendingDeletion", WAITING_DAYS)
    assert await state() == "PendingDeletion"
    assert (await refusal()).startswith("kmsq: KMSInvalidStateException")
    await kmsq.do("key", "cancel-deletion", key)
    assert await state() == "Disabled"
    await kmsq.do("key", "enable", key)
    await kmsq.do("encrypt", key, stdin=b"x")

    await kmsq.do("key", "update-description", key, "for longer")
    assert (await kmsq.do("key", "show", key)).json["Description"] == "for longer"


async def test_a_rotation_is_listed_and_old_ciphertexts_still_open(kmsq: Command) -> None:
    key = await kmsq.new_key()
    sealed = (await kmsq.do("encrypt", key, stdin=EVERY_BYTE)).out
    assert (await kmsq.do("key", "rotations", key)).json == {"Rotations": []}
    await kmsq.do("key", "rotate", key)
    (rotation,) = (await kmsq.do("key", "rotations", key)).json["Rotations"]
    assert (rotation["KeyId"].rpartition("/")[2], rotation["RotationType"]) == (key, "ON_DEMAND")
    materials = (await kmsq.do("key", "rotations", "--all-material", key)).json["Rotations"]
    assert len({material["KeyMaterialId"] for material in materials}) == 2
    assert {material["KeyMaterialState"] for material in materials} == {"CURRENT", "NON_CURRENT"}
    assert (await kmsq.do("decrypt", stdin=sealed)).out == EVERY_BYTE


async def test_an_alias_is_created_listed_pointed_elsewhere_and_deleted(kmsq: Command) -> None:
    name = new_alias()
    first, second = await kmsq.new_key(), await kmsq.new_key()
    assert (await kmsq.do("alias", "create", name, first)).out == b""
    sealed = (await kmsq.do("encrypt", name, stdin=b"x")).out
    assert (await kmsq.fails(SERVICE_ERROR, "alias", "create", name, second)).startswith("kmsq: AlreadyExistsException")

    async def names(*options: str) -> dict[str, str]:
        listed = (await kmsq.do("alias", "list", *options)).json["Aliases"]
        return {entry["AliasName"]: entry["TargetKeyId"] for entry in listed}

    assert await names("--key", first) == {name: first}
    await kmsq.do("alias", "update", name, second)
    assert await names("--key", first) == {}
    assert (await names())[name] == second
    assert (await kmsq.do("decrypt", "--key", first, stdin=sealed)).out == b"x"
    await kmsq.do("alias", "delete", name)
    assert name not in await names()
    assert (await kmsq.fails(SERVICE_ERROR, "encrypt", name, stdin=b"x")).startswith("kmsq: NotFoundException")


async def test_a_key_whose_alias_is_taken_exists_and_its_id_is_told(kmsq: Command) -> None:
    name = new_alias()
    await kmsq.new_key("--alias", name)
    told, error, *_ = (await kmsq.fails(SERVICE_ERROR, "key", "create", "--alias", name)).splitlines()
    assert error.startswith("kmsq: AlreadyExistsException")
    created, key = told.split()
    assert created == "created"
    assert (await kmsq.do("key", "show", key)).json["KeyState"] == "Enabled"


async def test_a_policy_goes_round_through_files_and_pipes_unchanged_and_counts_at_once(
    kmsq: Command, kmsq_of_carol: Command, tmp_path: Path
) -> None:
    key = await kmsq.new_key()
    policy = (await kmsq.do("policy", "get", key)).json
    mine = policy["Statement"][0]
    carol = {**mine, "Sid": "carol", "Action": "kms:Encrypt", "Principal": {"AWS": mine_as(mine, "carol")}}
    refused = await kmsq_of_carol.fails(SERVICE_ERROR, "encrypt", key, stdin=b"x")
    assert refused.startswith("kmsq: AccessDeniedException")

    text = json.dumps({**policy, "Statement": [*policy["Statement"], carol]})
    (tmp_path / "policy.json").write_text(text)
    assert (await kmsq.do("policy", "put", key, "policy.json")).out == b""
    assert (await kmsq.do("policy", "get", key)).out == text.encode() + b"\n"
    await kmsq_of_carol.do("encrypt", key, stdin=b"x")

    await kmsq.do("policy", "put", key, stdin=json.dumps(policy).encode())
    assert (await kmsq.do("policy", "get", key)).json == policy
    await kmsq_of_carol.fails(SERVICE_ERROR, "encrypt", key, stdin=b"x")


def mine_as(statement: Mapping[str, Any], user: str) -> str:
    """Return the ARN of another user of the account, made from the one that the statement names."""
    named = statement["Principal"]["AWS"]
    arn: str = named if isinstance(named, str) else named[0]
    return f"{arn.rpartition(':')[0]}:user/{user}"


async def test_the_account_policy_can_be_put_as_it_was_got(kmsq: Command) -> None:
    policy = (await kmsq.do("policy", "get", "--account")).out
    await kmsq.do("policy", "put", "--account", stdin=policy)
    assert (await kmsq.do("policy", "get", "--account")).out == policy


async def test_a_policy_that_locks_its_author_out_is_refused_unless_insisted_on(kmsq: Command) -> None:
    key = await kmsq.new_key()
    before = (await kmsq.do("policy", "get", key)).out
    carols = before.replace(b":user/admin", b":user/carol")
    error = await kmsq.fails(SERVICE_ERROR, "policy", "put", key, stdin=carols)
    assert error.startswith("kmsq: MalformedPolicyDocumentException")
    assert (await kmsq.do("policy", "get", key)).out == before
    await kmsq.do("policy", "put", key, "--bypass-lockout-check", stdin=carols)
    refused = await kmsq.fails(SERVICE_ERROR, "encrypt", key, stdin=b"x")
    assert refused.startswith("kmsq: AccessDeniedException")


async def test_a_table_is_for_people_and_json_for_programs(kmsq: Command) -> None:
    key = await kmsq.new_key("--description", "[bold]orders[/bold]")
    table = (await kmsq.do("--output", "table", "key", "show", key)).out.decode()
    assert any(line.split() == ["KeyId", key] for line in table.splitlines())
    assert "[bold]orders[/bold]" in table
    assert (await kmsq.do("--output", "json", "key", "show", key)).json == (await kmsq.do("key", "show", key)).json
    heading, *rows = (await kmsq.do("--output", "table", "key", "list")).out.decode().splitlines()
    assert heading.split() == ["KEY", "ID", "ARN"]
    assert [row for row in rows if key in row]
    assert (await kmsq.do("--output", "table", "key", "disable", key)).out == b"disabled\n"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("encrypt", "alias/nothing"), "NotFoundException"),
        (("encrypt", "aliased/nothing"), "NotFoundException"),
        (("decrypt",), "InvalidCiphertextException"),
        (("reencrypt", "alias/nothing"), "InvalidCiphertextException"),
        (("data-key", "alias/nothing"), "NotFoundException"),
        (("key", "disable", "alias/nothing"), "NotFoundException"),
        (("alias", "create", "alias/aws/mine", str(uuid4())), "InvalidAliasNameException"),
        (("alias", "delete", "alias/nothing"), "NotFoundException"),
        (("key", "create", "--policy", "-"), "MalformedPolicyDocumentException"),
    ],
    ids=lambda value: "-".join(value[:2]) if isinstance(value, tuple) else value,
)
async def test_what_the_service_refuses_exits_with_2_and_its_error(
    kmsq: Command, arguments: Sequence[str], error: str
) -> None:
    assert (await kmsq.fails(SERVICE_ERROR, *arguments, stdin=b"junk")).startswith(f"kmsq: {error}")


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        ((), b""),
        (("no-such-command",), b""),
        (("encrypt",), b""),
        (("encrypt", "alias/nothing"), b""),
        (("encrypt", "alias/nothing"), b"x" * 4097),
        (("encrypt", "alias/nothing", "--context", "order"), b"x"),
        (("encrypt", "alias/nothing", "--context", "a=1", "--context", "a=2"), b"x"),
        (("encrypt", "alias/nothing", "--in", "missing"), b""),
        (("random", "0"), b""),
        (("random", "1025"), b""),
        (("data-key", "alias/nothing", "--spec", "AES_256", "--bytes", "32"), b""),
        (("key", "schedule-deletion", str(uuid4()), "--days", "6"), b""),
        (("policy", "get"), b""),
        (("--amqp-url", "nonsense", "random", "1"), b""),
        (("--amqp-url", "", "random", "1"), b""),
    ],
)
async def test_what_is_wrong_on_this_side_exits_with_1_and_says_so(
    kmsq: Command, arguments: Sequence[str], stdin: bytes
) -> None:
    assert await kmsq.fails(LOCAL_ERROR, *arguments, stdin=stdin)


async def test_a_broker_that_is_not_there_or_refuses_is_an_error_of_this_side(
    stack: PrivateStack, principals: Mapping[str, str], tmp_path: Path, unused_tcp_port: int
) -> None:
    absent = Command(environment_of(f"amqp://admin:canary@127.0.0.1:{unused_tcp_port}/"), tmp_path)
    refused = Command(environment_of(f"amqp://admin:canary@127.0.0.1:{stack.broker.port}/"), tmp_path)
    for command in (absent, refused):
        error = await command.fails(LOCAL_ERROR, "random", "1")
        assert error.startswith("kmsq: ")
        assert "canary" not in error
    forbidden = await Command(environment_of(principals["dec"]), tmp_path).fails(LOCAL_ERROR, "key", "create")
    assert forbidden.startswith("kmsq: RequestRefused")


async def test_the_doctor_finds_nothing_wrong_with_a_service_that_works(kmsq: Command) -> None:
    findings = (await kmsq.do("doctor")).json
    assert {"topology", "reply queue", "worker", "clock"} <= {each["Check"] for each in findings}
    assert [each for each in findings if each["Ok"] is False] == []
