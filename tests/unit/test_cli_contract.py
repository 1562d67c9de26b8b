"""Every operation on one value has a command that sends it, and that exits with 2 and the error when the service refuses."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kmsq.cli.app import root
from kmsq.errors import service_error
from kmsq.testing import FakeKms
from kmsq_schemas.models import GetParametersForImportReply
from kmsq_schemas.operations import SPECS, Operation, Queue

KEY = "11111111-1111-1111-1111-111111111111"
BOB = "arn:kmsq:iam::000000000000:user/bob"
FILE = "FILE"  # stands for a file with 32 bytes
PUBLIC_KEY = "PUBLIC_KEY"  # stands for a file with a public key

COMMANDS: Mapping[Operation, tuple[str, ...]] = {
    Operation.CREATE_KEY: ("key", "create"),
    Operation.DESCRIBE_KEY: ("key", "show", KEY),
    Operation.LIST_KEYS: ("key", "list"),
    Operation.ENABLE_KEY: ("key", "enable", KEY),
    Operation.DISABLE_KEY: ("key", "disable", KEY),
    Operation.UPDATE_KEY_DESCRIPTION: ("key", "update-description", KEY, "new"),
    Operation.SCHEDULE_KEY_DELETION: ("key", "schedule-deletion", KEY),
    Operation.CANCEL_KEY_DELETION: ("key", "cancel-deletion", KEY),
    Operation.GET_KEY_LAST_USAGE: ("key", "last-used", KEY),
    Operation.TAG_RESOURCE: ("tag", "add", KEY, "a=b"),
    Operation.UNTAG_RESOURCE: ("tag", "remove", KEY, "a"),
    Operation.LIST_RESOURCE_TAGS: ("tag", "list", KEY),
    Operation.CREATE_ALIAS: ("alias", "create", "alias/a", KEY),
    Operation.UPDATE_ALIAS: ("alias", "update", "alias/a", KEY),
    Operation.DELETE_ALIAS: ("alias", "delete", "alias/a"),
    Operation.LIST_ALIASES: ("alias", "list"),
    Operation.GET_KEY_POLICY: ("policy", "get", KEY),
    Operation.PUT_KEY_POLICY: ("policy", "put", KEY, FILE),
    Operation.LIST_KEY_POLICIES: ("policy", "list", KEY),
    Operation.GET_ACCOUNT_POLICY: ("policy", "get", "--account"),
    Operation.PUT_ACCOUNT_POLICY: ("policy", "put", "--account", FILE),
    Operation.CREATE_GRANT: ("grant", "create", KEY, "--to", BOB, "--operation", "Decrypt"),
    Operation.LIST_GRANTS: ("grant", "list", KEY),
    Operation.LIST_RETIRABLE_GRANTS: ("grant", "list-retirable", BOB),
    Operation.RETIRE_GRANT: ("grant", "retire", KEY, "0c"),
    Operation.REVOKE_GRANT: ("grant", "revoke", KEY, "0c"),
    Operation.ENCRYPT: ("encrypt", KEY, "--in", FILE),
    Operation.DECRYPT: ("decrypt", "--in", FILE),
    Operation.RE_ENCRYPT: ("reencrypt", KEY, "--in", FILE),
    Operation.GENERATE_DATA_KEY: ("data-key", KEY),
    Operation.GENERATE_DATA_KEY_WITHOUT_PLAINTEXT: ("data-key", KEY, "--without-plaintext"),
    Operation.GENERATE_DATA_KEY_PAIR: ("data-key-pair", KEY, "--spec", "RSA_2048"),
    Operation.GENERATE_DATA_KEY_PAIR_WITHOUT_PLAINTEXT: (
        *("data-key-pair", KEY, "--spec", "RSA_2048", "--without-plaintext"),
    ),
    Operation.GENERATE_RANDOM: ("random", "8"),
    Operation.GET_PUBLIC_KEY: ("public-key", KEY),
    Operation.SIGN: ("sign", KEY, FILE, "--algorithm", "ECDSA_SHA_256"),
    Operation.VERIFY: ("verify", KEY, FILE, "--algorithm", "ECDSA_SHA_256", "--signature", FILE),
    Operation.DERIVE_SHARED_SECRET: ("derive-shared-secret", KEY, PUBLIC_KEY),
    Operation.ENCAPSULATE: ("encapsulate", KEY),
    Operation.DECAPSULATE: ("decapsulate", KEY, "--in", FILE),
    Operation.GENERATE_MAC: ("mac", "generate", KEY, FILE, "--algorithm", "HMAC_SHA_256"),
    Operation.VERIFY_MAC: ("mac", "verify", KEY, FILE, "--algorithm", "HMAC_SHA_256", "--mac", FILE),
    Operation.ENABLE_KEY_ROTATION: ("rotation", "enable", KEY),
    Operation.DISABLE_KEY_ROTATION: ("rotation", "disable", KEY),
    Operation.GET_KEY_ROTATION_STATUS: ("rotation", "status", KEY),
    Operation.ROTATE_KEY_ON_DEMAND: ("rotation", "now", KEY),
    Operation.LIST_KEY_ROTATIONS: ("rotation", "list", KEY),
    Operation.GET_PARAMETERS_FOR_IMPORT: ("import", KEY, FILE, "--format", "raw"),
    Operation.IMPORT_KEY_MATERIAL: ("import", KEY, FILE, "--format", "raw"),
    Operation.DELETE_IMPORTED_KEY_MATERIAL: ("key", "delete-material", KEY),
}

WITHOUT_COMMAND = {operation for operation, spec in SPECS.items() if spec.queue is Queue.BATCH}
"""
Batches have no command of their own: what they carry comes from files, not from a command line. The client's streams
make them of any number of values, and `kmsq column` of the columns of a file.
"""


@pytest.fixture(scope="module")
def public_der() -> bytes:
    key = rsa.generate_private_key(65537, 2048).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def files(tmp_path: Path, public_der: bytes) -> Mapping[str, str]:
    (tmp_path / FILE).write_bytes(b"x" * 32)
    (tmp_path / PUBLIC_KEY).write_bytes(public_der)
    return {name: str(tmp_path / name) for name in (FILE, PUBLIC_KEY)}


def test_every_operation_on_one_value_has_its_command() -> None:
    assert set(COMMANDS) == set(SPECS) - WITHOUT_COMMAND


@pytest.mark.parametrize("operation", list(COMMANDS), ids=lambda operation: operation.value)
def test_the_command_of_an_operation_sends_it_and_tells_its_error(
    operation: Operation, files: Mapping[str, str], public_der: bytes
) -> None:
    kms = FakeKms()
    parameters = GetParametersForImportReply(
        key_id=KEY, import_token=b"token", public_key=public_der, parameters_valid_to=datetime.now(UTC)
    )
    kms.answer_with(Operation.GET_PARAMETERS_FOR_IMPORT, lambda _: parameters)
    kms.fail_next(operation, service_error("KMSInvalidStateException", "why"))
    command = [files.get(word, word) for word in COMMANDS[operation]]
    done = CliRunner().invoke(root, command, obj=lambda _: kms.client(), prog_name="kmsq")
    assert kms.calls[operation] == 1
    assert (done.exit_code, done.stdout) == (2, "")
    error, advice, *_ = done.stderr.splitlines()
    assert error == "kmsq: KMSInvalidStateException: why"
    assert "kmsq key show KEY" in advice
