"""Every operation does what it says, in both encodings."""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar
from uuid import uuid4

import pytest

from integration.api import RawApi
from integration.api_claims import CLAIMS
from integration.raw import Producer
from kmsq_schemas import models
from kmsq_schemas.codec import ContentType
from kmsq_schemas.models import (
    CreateKeyReply,
    CreateKeyRequest,
    DecryptReply,
    DecryptRequest,
    DescribeKeyReply,
    DescribeKeyRequest,
    EncryptReply,
    EncryptRequest,
    KeyMetadata,
    Reply,
    Request,
)
from kmsq_schemas.models.enums import (
    DataKeySpec,
    EncryptionAlgorithm,
    IncludeKeyMaterial,
    KeyManager,
    KeyMaterialState,
    KeySpec,
    KeyState,
    KeyUsage,
    Origin,
    RotationType,
)
from kmsq_schemas.operations import Operation

CONTEXT = {"tenant": "blue", "κλειδί": "ключ", "": ""}
ARN = "arn:kmsq:kms:local:000000000000:"
SYMMETRIC = EncryptionAlgorithm.SYMMETRIC_DEFAULT

R = TypeVar("R", bound=Reply)


@dataclass(frozen=True)
class Caller:
    """Calls in one encoding."""

    producer: Producer
    encoding: ContentType

    async def __call__(self, request: Request, model: type[R]) -> R:
        return await self.producer.call(request, model, content_type=self.encoding)

    async def describe(self, key: str) -> KeyMetadata:
        return (await self(DescribeKeyRequest(key_id=key), DescribeKeyReply)).key_metadata

    async def new_key(self, **fields: str) -> KeyMetadata:
        return (await self(CreateKeyRequest(**fields), CreateKeyReply)).key_metadata  # type: ignore[arg-type]


@pytest.mark.parametrize("encoding", list(ContentType))
async def test_each_of_the_operations_does_what_it_says(admin: Producer, encoding: ContentType) -> None:
    call = Caller(admin, encoding)
    await a_key_is_created_described_and_listed(call)
    await a_key_is_disabled_enabled_and_scheduled_for_deletion(call)
    await aliases_are_created_moved_listed_and_deleted(call)
    await policies_are_put_and_read_back(call)
    await data_is_encrypted_decrypted_and_re_encrypted(call)
    await data_keys_and_random_bytes_are_generated(call)
    await a_key_is_rotated_and_old_blobs_stay_readable(call)
    for claim in CLAIMS:
        await claim(RawApi(admin, encoding))
    assert {answer.kind for answer in admin.arrived} == set(Operation)


async def a_key_is_created_described_and_listed(call: Caller) -> None:
    made = await call.new_key(description="größer")
    assert made == await call.describe(made.key_id) == await call.describe(made.arn)
    assert made.arn == f"{ARN}key/{made.key_id}"
    assert (made.aws_account_id, made.description, made.enabled) == ("000000000000", "größer", True)
    assert (made.key_state, made.key_usage, made.key_spec) == (
        KeyState.ENABLED,
        KeyUsage.ENCRYPT_DECRYPT,
        KeySpec.SYMMETRIC_DEFAULT,
    )
    assert (made.origin, made.key_manager, made.multi_region) == (Origin.AWS_KMS, KeyManager.CUSTOMER, False)
    assert made.encryption_algorithms == [SYMMETRIC]
    assert made.current_key_material_id
    assert made.deletion_date is None
    listed = await call(models.ListKeysRequest(limit=1000), models.ListKeysReply)
    assert (made.key_id, made.arn) in {(entry.key_id, entry.key_arn) for entry in listed.keys}
    await call(models.UpdateKeyDescriptionRequest(key_id=made.key_id, description=""), models.UpdateKeyDescriptionReply)
    assert (await call.describe(made.key_id)).description == ""


async def a_key_is_disabled_enabled_and_scheduled_for_deletion(call: Caller) -> None:
    key = (await call.new_key()).key_id
    await call(models.DisableKeyRequest(key_id=key), models.DisableKeyReply)
    disabled = await call.describe(key)
    assert (disabled.key_state, disabled.enabled) == (KeyState.DISABLED, False)
    await call(models.EnableKeyRequest(key_id=key), models.EnableKeyReply)
    assert (await call.describe(key)).enabled
    request = models.ScheduleKeyDeletionRequest(key_id=key, pending_window_in_days=7)
    scheduled = await call(request, models.ScheduleKeyDeletionReply)
    assert (scheduled.key_state, scheduled.pending_window_in_days) == (KeyState.PENDING_DELETION, 7)
    pending = await call.describe(key)
    assert (pending.key_state, pending.deletion_date) == (KeyState.PENDING_DELETION, scheduled.deletion_date)
    cancelled = await call(models.CancelKeyDeletionRequest(key_id=key), models.CancelKeyDeletionReply)
    assert cancelled.key_id == scheduled.key_id == f"{ARN}key/{key}"
    back = await call.describe(key)
    assert (back.key_state, back.deletion_date) == (KeyState.DISABLED, None)
    usual = await call(models.ScheduleKeyDeletionRequest(key_id=key), models.ScheduleKeyDeletionReply)
    assert usual.pending_window_in_days == 30
    assert usual.deletion_date - scheduled.deletion_date > timedelta(days=22)


async def aliases_are_created_moved_listed_and_deleted(call: Caller) -> None:
    first, second = (await call.new_key()).key_id, (await call.new_key()).key_id
    names = [f"alias/{uuid4()}/{number}" for number in range(2)]
    for name in names:
        await call(models.CreateAliasRequest(alias_name=name, target_key_id=first), models.CreateAliasReply)
    assert (await call.describe(names[0])).key_id == first
    assert (await call.describe(f"{ARN}{names[0]}")).key_id == first
    await call(models.UpdateAliasRequest(alias_name=names[0], target_key_id=second), models.UpdateAliasReply)
    assert (await call.describe(names[0])).key_id == second
    listed = await call(models.ListAliasesRequest(key_id=second), models.ListAliasesReply)
    (entry,) = listed.aliases
    assert (entry.alias_name, entry.alias_arn, entry.target_key_id) == (names[0], f"{ARN}{names[0]}", second)
    assert entry.last_updated_date > entry.creation_date
    assert listed.truncated is False
    await call(models.DeleteAliasRequest(alias_name=names[1]), models.DeleteAliasReply)
    assert (await call(models.ListAliasesRequest(key_id=first), models.ListAliasesReply)).aliases == []


async def policies_are_put_and_read_back(call: Caller) -> None:
    key = (await call.new_key()).key_id
    policy = (await call(models.GetKeyPolicyRequest(key_id=key), models.GetKeyPolicyReply)).policy
    reworded = json.dumps(json.loads(policy) | {"Id": "é"}, ensure_ascii=False, indent=1)
    put = models.PutKeyPolicyRequest(key_id=key, policy=reworded, policy_name="default")
    await call(put, models.PutKeyPolicyReply)
    back = await call(models.GetKeyPolicyRequest(key_id=key, policy_name="default"), models.GetKeyPolicyReply)
    assert (back.policy, back.policy_name) == (reworded, "default")
    account = (await call(models.GetAccountPolicyRequest(), models.GetAccountPolicyReply)).policy
    await call(models.PutAccountPolicyRequest(policy=account + "\n"), models.PutAccountPolicyReply)
    assert (await call(models.GetAccountPolicyRequest(), models.GetAccountPolicyReply)).policy == account + "\n"
    await call(models.PutAccountPolicyRequest(policy=account), models.PutAccountPolicyReply)


async def data_is_encrypted_decrypted_and_re_encrypted(call: Caller) -> None:
    source, destination = await call.new_key(), await call.new_key()
    for plaintext in (b"\0", bytes(range(256)) * 16):
        request = EncryptRequest(key_id=source.key_id, plaintext=plaintext, encryption_context=CONTEXT)
        sealed = await call(request, EncryptReply)
        assert (sealed.key_id, sealed.encryption_algorithm) == (source.arn, SYMMETRIC)
        assert len(sealed.ciphertext_blob) == len(plaintext) + 98
        opened = await call(
            DecryptRequest(ciphertext_blob=sealed.ciphertext_blob, encryption_context=CONTEXT), DecryptReply
        )
        assert (opened.plaintext, opened.key_id) == (plaintext, source.arn)
        assert opened.key_material_id == source.current_key_material_id
        moved = await call(
            models.ReEncryptRequest(
                ciphertext_blob=sealed.ciphertext_blob,
                source_encryption_context=CONTEXT,
                destination_key_id=destination.key_id,
                destination_encryption_context={"new": "context"},
            ),
            models.ReEncryptReply,
        )
        assert (moved.source_key_id, moved.key_id) == (source.arn, destination.arn)
        assert moved.source_key_material_id == source.current_key_material_id
        assert moved.destination_key_material_id == destination.current_key_material_id
        request_again = DecryptRequest(ciphertext_blob=moved.ciphertext_blob, encryption_context={"new": "context"})
        assert (await call(request_again, DecryptReply)).plaintext == plaintext


async def data_keys_and_random_bytes_are_generated(call: Caller) -> None:
    key = await call.new_key()
    for fields, size in (
        ({"key_spec": DataKeySpec.AES_256}, 32),
        ({"key_spec": DataKeySpec.AES_128}, 16),
        ({"number_of_bytes": 1}, 1),
        ({"number_of_bytes": 1024}, 1024),
    ):
        request = models.GenerateDataKeyRequest.model_validate({"key_id": key.key_id, **fields})
        made = await call(request, models.GenerateDataKeyReply)
        assert len(made.plaintext) == size
        assert (made.key_id, made.key_material_id) == (key.arn, key.current_key_material_id)
        opened = await call(DecryptRequest(ciphertext_blob=made.ciphertext_blob), DecryptReply)
        assert opened.plaintext == made.plaintext
    hidden = await call(
        models.GenerateDataKeyWithoutPlaintextRequest(
            key_id=key.key_id, key_spec=DataKeySpec.AES_256, encryption_context=CONTEXT
        ),
        models.GenerateDataKeyWithoutPlaintextReply,
    )
    opened = await call(
        DecryptRequest(ciphertext_blob=hidden.ciphertext_blob, encryption_context=CONTEXT), DecryptReply
    )
    assert len(opened.plaintext) == 32
    randoms = {
        (await call(models.GenerateRandomRequest(number_of_bytes=1024), models.GenerateRandomReply)).plaintext
        for _ in range(3)
    }
    assert [len(random) for random in randoms] == [1024] * 3


async def a_key_is_rotated_and_old_blobs_stay_readable(call: Caller) -> None:
    key = await call.new_key()
    blobs, materials = [], [key.current_key_material_id]
    for number in range(3):
        request = EncryptRequest(key_id=key.key_id, plaintext=b"%d" % number)
        blobs.append((await call(request, EncryptReply)).ciphertext_blob)
        rotated = await call(models.RotateKeyOnDemandRequest(key_id=key.key_id), models.RotateKeyOnDemandReply)
        assert rotated.key_id == key.key_id
        materials.append((await call.describe(key.key_id)).current_key_material_id)
    assert len(set(materials)) == 4
    for number, blob in enumerate(blobs):
        opened = await call(DecryptRequest(ciphertext_blob=blob), DecryptReply)
        assert (opened.plaintext, opened.key_material_id) == (b"%d" % number, materials[number])
    history = (await call(models.ListKeyRotationsRequest(key_id=key.key_id), models.ListKeyRotationsReply)).rotations
    assert [entry.key_material_id for entry in history] == materials[1:]
    assert {entry.rotation_type for entry in history} == {RotationType.ON_DEMAND}
    everything_asked = models.ListKeyRotationsRequest(
        key_id=key.key_id, include_key_material=IncludeKeyMaterial.ALL_KEY_MATERIAL
    )
    everything = (await call(everything_asked, models.ListKeyRotationsReply)).rotations
    assert [entry.key_material_id for entry in everything] == materials
    states = [entry.key_material_state for entry in everything]
    assert states == [KeyMaterialState.NON_CURRENT] * 3 + [KeyMaterialState.CURRENT]
