"""What each operation answers for a key in each state, or for a name that names no key (AWS KMS)."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

import pytest

from integration import raw
from integration.raw import OPERATIONS, SUCCESS, Producer
from kmsq_schemas import models
from kmsq_schemas.models import CreateKeyReply, CreateKeyRequest, EncryptReply, EncryptRequest, Request
from kmsq_schemas.models.enums import DataKeySpec
from kmsq_schemas.operations import SPECS, Operation
from services.stack import PrivateStack

ARN = "arn:kmsq:kms:local:000000000000:"
DISABLED, INVALID_STATE, NOT_FOUND = "DisabledException", "KMSInvalidStateException", "NotFoundException"


async def new_key(producer: Producer) -> str:
    return (await producer.call(CreateKeyRequest(), CreateKeyReply)).key_metadata.key_id


@dataclass(frozen=True)
class Subject:
    """A key with a blob and an alias of its own, and another key that is enabled."""

    key: str
    blob: bytes
    alias: str
    other: str
    other_blob: bytes
    other_alias: str

    def requests(self) -> Mapping[Operation, Request]:
        """Build a request about the key for each operation that is about one."""
        key = self.key
        found = [
            EncryptRequest(key_id=key, plaintext=b"x"),
            models.DecryptRequest(ciphertext_blob=self.blob),
            models.ReEncryptRequest(ciphertext_blob=self.blob, destination_key_id=self.other),
            models.GenerateDataKeyRequest(key_id=key, key_spec=DataKeySpec.AES_256),
            models.GenerateDataKeyWithoutPlaintextRequest(key_id=key, key_spec=DataKeySpec.AES_256),
            models.DescribeKeyRequest(key_id=key),
            models.GetKeyPolicyRequest(key_id=key),
            models.ListAliasesRequest(key_id=key),
            models.ListKeyRotationsRequest(key_id=key),
            models.UpdateKeyDescriptionRequest(key_id=key, description="x"),
            models.CreateAliasRequest(alias_name=f"alias/{uuid4()}", target_key_id=key),
            models.UpdateAliasRequest(alias_name=self.other_alias, target_key_id=key),
            models.PutKeyPolicyRequest(key_id=key, policy=OPEN_POLICY),
            models.RotateKeyOnDemandRequest(key_id=key),
            models.DeleteAliasRequest(alias_name=self.alias),
            models.DisableKeyRequest(key_id=key),
            models.EnableKeyRequest(key_id=key),
            models.CancelKeyDeletionRequest(key_id=key),
            models.ScheduleKeyDeletionRequest(key_id=key),
        ]
        return {OPERATIONS[type(request)]: request for request in found}


OPEN_POLICY = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}}'
WITHOUT_A_KEY = {
    Operation.CREATE_KEY,
    Operation.LIST_KEYS,
    Operation.GENERATE_RANDOM,
    Operation.GET_ACCOUNT_POLICY,
    Operation.PUT_ACCOUNT_POLICY,
}

# What differs from success; AWS_KMS semantics, "Key states".
IN_STATE: Mapping[str, Mapping[Operation, str]] = {
    "Enabled": {Operation.CANCEL_KEY_DELETION: INVALID_STATE},
    "Disabled": {
        Operation.ENCRYPT: DISABLED,
        Operation.DECRYPT: DISABLED,
        Operation.RE_ENCRYPT: DISABLED,
        Operation.GENERATE_DATA_KEY: DISABLED,
        Operation.GENERATE_DATA_KEY_WITHOUT_PLAINTEXT: DISABLED,
        Operation.ROTATE_KEY_ON_DEMAND: DISABLED,
        Operation.CANCEL_KEY_DELETION: INVALID_STATE,
    },
    "PendingDeletion": {
        Operation.ENCRYPT: INVALID_STATE,
        Operation.DECRYPT: INVALID_STATE,
        Operation.RE_ENCRYPT: INVALID_STATE,
        Operation.GENERATE_DATA_KEY: INVALID_STATE,
        Operation.GENERATE_DATA_KEY_WITHOUT_PLAINTEXT: INVALID_STATE,
        Operation.ROTATE_KEY_ON_DEMAND: INVALID_STATE,
        Operation.UPDATE_KEY_DESCRIPTION: INVALID_STATE,
        Operation.CREATE_ALIAS: INVALID_STATE,
        Operation.UPDATE_ALIAS: INVALID_STATE,
        Operation.ENABLE_KEY: INVALID_STATE,
        Operation.DISABLE_KEY: INVALID_STATE,
        Operation.SCHEDULE_KEY_DELETION: INVALID_STATE,
    },
}
CELLS = [
    (state, operation, expected.get(operation, SUCCESS))
    for state, expected in IN_STATE.items()
    for operation in Operation
    if operation not in WITHOUT_A_KEY
]


@pytest.fixture
async def subject(admin: Producer) -> Subject:
    key, other = await new_key(admin), await new_key(admin)
    aliases = [f"alias/{uuid4()}" for _ in range(2)]
    await admin.do(
        models.CreateAliasRequest(alias_name=aliases[0], target_key_id=key),
        models.CreateAliasRequest(alias_name=aliases[1], target_key_id=other),
    )
    blobs = [
        (await admin.call(EncryptRequest(key_id=one, plaintext=b"x"), EncryptReply)).ciphertext_blob
        for one in (key, other)
    ]
    return Subject(key, blobs[0], aliases[0], other, blobs[1], aliases[1])


async def bring_into(admin: Producer, key: str, state: str) -> None:
    if state == "Disabled":
        await admin.do(models.DisableKeyRequest(key_id=key))
    elif state == "PendingDeletion":
        await admin.do(models.ScheduleKeyDeletionRequest(key_id=key))


@pytest.mark.parametrize(("state", "operation", "expected"), CELLS)
async def test_an_operation_on_a_key_in_a_state(
    admin: Producer, subject: Subject, state: str, operation: Operation, expected: str
) -> None:
    await bring_into(admin, subject.key, state)
    answer = await admin.ask(admin.message(subject.requests()[operation]))
    assert answer.code == expected
    if expected == DISABLED:
        assert answer.error.message == f"{ARN}key/{subject.key} is disabled."
    if expected == INVALID_STATE and state == "PendingDeletion":
        assert answer.error.message == f"{ARN}key/{subject.key} is pending deletion."


@pytest.mark.parametrize("state", ["Disabled", "PendingDeletion"])
async def test_nothing_is_re_encrypted_to_a_key_that_is_not_enabled(
    admin: Producer, subject: Subject, state: str
) -> None:
    await bring_into(admin, subject.key, state)
    request = models.ReEncryptRequest(ciphertext_blob=subject.other_blob, destination_key_id=subject.key)
    assert await admin.code(request) == IN_STATE[state][Operation.ENCRYPT]


def test_the_table_of_states_knows_every_operation(subject_of_nothing: Subject) -> None:
    assert subject_of_nothing.requests().keys() | WITHOUT_A_KEY == SPECS.keys()


@pytest.fixture
def subject_of_nothing() -> Subject:
    nobody = str(uuid4())
    return Subject(nobody, b"x", "alias/none", nobody, b"x", "alias/none")


ALIAS_ALLOWED = {
    Operation.ENCRYPT,
    Operation.GENERATE_DATA_KEY,
    Operation.GENERATE_DATA_KEY_WITHOUT_PLAINTEXT,
    Operation.DESCRIBE_KEY,
}
BY_KEY_ID = sorted(
    operation
    for operation, spec in SPECS.items()
    if {"key_id", "target_key_id"} & spec.request.model_fields.keys() and operation != Operation.DECRYPT
)


@pytest.mark.parametrize("operation", BY_KEY_ID)
async def test_a_key_is_named_by_id_or_arn_and_by_alias_only_where_it_is_used_or_described(
    admin: Producer, subject: Subject, operation: Operation
) -> None:
    named = "target_key_id" if operation in {Operation.CREATE_ALIAS, Operation.UPDATE_ALIAS} else "key_id"
    request = subject.requests()[operation]

    async def code(name: str) -> str:
        return await admin.code(request.model_copy(update={named: name}))

    by_alias = [await code(name) for name in (subject.alias, f"{ARN}{subject.alias}")]
    assert by_alias == [SUCCESS if operation in ALIAS_ALLOWED else NOT_FOUND] * 2
    assert await code(str(uuid4())) == NOT_FOUND
    assert await code(f"{ARN}key/{uuid4()}") == NOT_FOUND
    assert await code(subject.key.upper()) == NOT_FOUND
    assert await code("nonsense") == NOT_FOUND
    assert await code("alias/none") == NOT_FOUND
    assert await code("arn:aws:kms:local:000000000000:key/x") == "InvalidArnException"
    assert await code(f"arn:kmsq:kms:elsewhere:000000000000:key/{subject.key}") == NOT_FOUND
    assert await code(f"arn:kmsq:kms:local:111111111111:key/{subject.key}") == NOT_FOUND
    expected = IN_STATE["Enabled"].get(operation, SUCCESS)
    assert await code(f"{ARN}key/{subject.key}") == expected


async def test_a_key_that_does_not_exist_looks_the_same_to_whoever_asks(
    admin: Producer, stack: PrivateStack, principals: dict[str, str]
) -> None:
    assert stack.workers
    nobody = str(uuid4())
    async with raw.connected(principals["carol"]) as carol:
        hers = await carol.error(EncryptRequest(key_id=nobody, plaintext=b"x"))
    his = await admin.error(EncryptRequest(key_id=nobody, plaintext=b"x"))
    assert hers == his
