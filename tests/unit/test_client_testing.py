"""The fake that producers test with behaves as the service does, where it matters to them."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from kmsq import Client
from kmsq.errors import (
    AccessDeniedException,
    AlreadyExistsException,
    DeadlineExceeded,
    DisabledException,
    DryRunOperationException,
    IncorrectKeyException,
    InvalidAliasNameException,
    InvalidArnException,
    InvalidCiphertextException,
    InvalidKeyUsageException,
    InvalidMarkerException,
    KMSInvalidStateException,
    LimitExceededException,
    MalformedPolicyDocumentException,
    NotFoundException,
    ThrottlingException,
    UnsupportedOperationException,
    ValidationException,
)
from kmsq.testing import FakeKms
from kmsq.testing.handlers import HANDLERS, NOT_DONE
from kmsq_schemas.models import DecryptRequest, GenerateMacReply, KeyMetadata, Tag
from kmsq_schemas.operations import SPECS, Operation


@pytest.fixture
def kms() -> FakeKms:
    return FakeKms()


@pytest.fixture
async def client(kms: FakeKms) -> AsyncIterator[Client]:
    async with kms.client("alice") as entered:
        yield entered


@pytest.fixture
async def key(client: Client) -> KeyMetadata:
    return (await client.create_key(description="orders")).key_metadata


def test_every_operation_is_done_or_refused() -> None:
    assert set(HANDLERS) | NOT_DONE == set(SPECS)
    assert not set(HANDLERS) & NOT_DONE


async def test_what_the_fake_does_not_do_a_test_can_answer(kms: FakeKms, client: Client) -> None:
    with pytest.raises(UnsupportedOperationException, match="does not do GenerateMac"):
        await client.generate_mac("alias/x", b"x", "HMAC_SHA_256")
    kms.answer_with(
        "GenerateMac",
        lambda request: GenerateMacReply(
            mac=request.message[::-1], mac_algorithm=request.mac_algorithm, key_id=request.key_id
        ),
    )
    assert (await client.generate_mac("alias/x", b"ab", "HMAC_SHA_256")).mac == b"ba"
    kms.deny("alice", "GenerateMac")
    with pytest.raises(AccessDeniedException):
        await client.generate_mac("alias/x", b"ab", "HMAC_SHA_256")
    assert kms.calls[Operation.GENERATE_MAC] == 3


async def test_tags_are_added_replaced_and_removed(client: Client) -> None:
    key = (await client.create_key(tags={"team": "billing", "stage": "test"})).key_metadata
    await client.tag_resource(key.key_id, {"stage": "live", "a": ""})
    assert await tags_of(client, key) == [("a", ""), ("stage", "live"), ("team", "billing")]
    await client.tag_resource(key.key_id, [Tag(tag_key="a", tag_value="b")])
    await client.untag_resource(key.arn, ["team", "none"])
    assert await tags_of(client, key) == [("a", "b"), ("stage", "live")]
    with pytest.raises(LimitExceededException):
        await client.tag_resource(key.key_id, {str(number): "" for number in range(49)})
    await client.schedule_key_deletion(key.key_id)
    with pytest.raises(KMSInvalidStateException):
        await client.untag_resource(key.key_id, ["a"])


async def tags_of(client: Client, key: KeyMetadata) -> list[tuple[str, str]]:
    return [(tag.tag_key, tag.tag_value) async for tag in client.iter_resource_tags(key.key_id, page_size=1)]


async def test_a_schedule_of_rotations_is_kept(client: Client, key: KeyMetadata) -> None:
    assert not (await client.get_key_rotation_status(key.key_id)).key_rotation_enabled
    await client.enable_key_rotation(key.key_id)
    assert (await client.get_key_rotation_status(key.key_id)).rotation_period_in_days == 365
    await client.enable_key_rotation(key.key_id, rotation_period_in_days=90)
    status = await client.get_key_rotation_status(key.key_id)
    assert (status.key_rotation_enabled, status.rotation_period_in_days) == (True, 90)
    assert status.next_rotation_date is not None
    assert status.next_rotation_date - key.creation_date >= timedelta(days=90)
    await client.disable_key_rotation(key.key_id)
    assert (await client.get_key_rotation_status(key.key_id)).next_rotation_date is None
    await client.disable_key(key.key_id)
    with pytest.raises(DisabledException):
        await client.enable_key_rotation(key.key_id)


async def test_what_was_encrypted_opens_with_its_context_only(client: Client, key: KeyMetadata) -> None:
    sealed = await client.encrypt(key.key_id, b"secret", encryption_context={"a": "1", "b": "2"})
    opened = await client.decrypt(sealed.ciphertext_blob, encryption_context={"b": "2", "a": "1"})
    assert opened.plaintext == b"secret"
    assert opened.key_id == key.arn
    for context in (None, {"a": "1"}, {"a": "1", "b": "3"}):
        with pytest.raises(InvalidCiphertextException):
            await client.decrypt(sealed.ciphertext_blob, encryption_context=context)


async def test_every_flipped_byte_fails(client: Client, key: KeyMetadata) -> None:
    blob = (await client.encrypt(key.key_id, b"x")).ciphertext_blob
    for place in range(len(blob)):
        damaged = blob[:place] + bytes([blob[place] ^ 1]) + blob[place + 1 :]
        with pytest.raises(InvalidCiphertextException):
            await client.decrypt(damaged)
    with pytest.raises(InvalidCiphertextException):
        await client.decrypt(b"x")


async def test_a_key_has_four_names(client: Client, key: KeyMetadata) -> None:
    await client.create_alias("alias/orders", key.key_id)
    alias = (await client.list_aliases(key_id=key.arn)).aliases[0]
    for name in (key.key_id, key.arn, "alias/orders", alias.alias_arn):
        assert (await client.describe_key(name)).key_metadata == key
    with pytest.raises(NotFoundException):
        await client.disable_key("alias/orders")
    for unknown in ("alias/none", "11111111-1111-1111-1111-111111111111", "what"):
        with pytest.raises(NotFoundException):
            await client.describe_key(unknown)
    with pytest.raises(InvalidArnException):
        await client.describe_key("arn:aws:kms:eu:1:key/x")


async def test_aliases_move_and_go(client: Client, key: KeyMetadata) -> None:
    other = (await client.create_key()).key_metadata
    await client.create_alias("alias/a", key.key_id)
    with pytest.raises(AlreadyExistsException):
        await client.create_alias("alias/a", other.key_id)
    with pytest.raises(InvalidAliasNameException):
        await client.create_alias("alias/aws/a", other.key_id)
    await client.update_alias("alias/a", other.key_id)
    assert (await client.encrypt("alias/a", b"x")).key_id == other.arn
    await client.delete_alias("alias/a")
    with pytest.raises(NotFoundException):
        await client.delete_alias("alias/a")


async def test_states_allow_what_they_allow(client: Client, key: KeyMetadata) -> None:
    blob = (await client.encrypt(key.key_id, b"x")).ciphertext_blob
    await client.disable_key(key.key_id)
    with pytest.raises(DisabledException):
        await client.encrypt(key.key_id, b"x")
    with pytest.raises(DisabledException):
        await client.rotate_key_on_demand(key.key_id)
    scheduled = await client.schedule_key_deletion(key.key_id, pending_window_in_days=7)
    assert scheduled.key_state == "PendingDeletion"
    with pytest.raises(KMSInvalidStateException):
        await client.decrypt(blob)
    with pytest.raises(KMSInvalidStateException):
        await client.enable_key(key.key_id)
    with pytest.raises(KMSInvalidStateException):
        await client.update_key_description(key.key_id, "no")
    await client.cancel_key_deletion(key.key_id)
    with pytest.raises(KMSInvalidStateException):
        await client.cancel_key_deletion(key.key_id)
    await client.enable_key(key.key_id)
    await client.update_key_description(key.key_id, "new")
    assert (await client.describe_key(key.key_id)).key_metadata.description == "new"
    assert (await client.decrypt(blob)).plaintext == b"x"


async def test_rotation_keeps_old_ciphertexts_readable(client: Client, key: KeyMetadata) -> None:
    old = await client.encrypt(key.key_id, b"x")
    await client.rotate_key_on_demand(key.key_id)
    new = await client.encrypt(key.key_id, b"x")
    materials = {(await client.decrypt(sealed.ciphertext_blob)).key_material_id for sealed in (old, new)}
    assert len(materials) == 2
    assert len((await client.list_key_rotations(key.key_id)).rotations) == 1
    everything = await client.list_key_rotations(key.key_id, include_key_material="ALL_KEY_MATERIAL")
    assert [entry.key_material_state for entry in everything.rotations] == ["NON_CURRENT", "CURRENT"]


async def test_data_keys_come_back(client: Client, key: KeyMetadata) -> None:
    made = await client.generate_data_key(key.key_id, key_spec="AES_256", encryption_context={"a": "b"})
    assert len(made.plaintext) == 32
    assert (await client.decrypt(made.ciphertext_blob, encryption_context={"a": "b"})).plaintext == made.plaintext
    later = await client.generate_data_key_without_plaintext(key.key_id, number_of_bytes=7)
    assert len((await client.decrypt(later.ciphertext_blob)).plaintext) == 7
    assert len((await client.generate_random(5)).plaintext) == 5


async def test_re_encrypt_moves_between_keys_and_contexts(client: Client, key: KeyMetadata) -> None:
    other = (await client.create_key()).key_metadata
    sealed = await client.encrypt(key.key_id, b"x", encryption_context={"a": "1"})
    moved = await client.re_encrypt(
        sealed.ciphertext_blob,
        other.key_id,
        source_encryption_context={"a": "1"},
        destination_encryption_context={"a": "2"},
    )
    assert (moved.source_key_id, moved.key_id) == (key.arn, other.arn)
    assert (await client.decrypt(moved.ciphertext_blob, encryption_context={"a": "2"})).plaintext == b"x"
    with pytest.raises(IncorrectKeyException):
        await client.decrypt(moved.ciphertext_blob, encryption_context={"a": "2"}, key_id=key.key_id)


async def test_each_value_of_a_batch_succeeds_or_fails_by_itself(client: Client, key: KeyMetadata) -> None:
    values = [b"a", b"", b"x" * 4097, b"b", b"c", b"d"]
    contexts = [None, None, None, {"row": "3"}, {"table": "other"}, {"row": "x" * 8192}]
    table = {"table": "people"}
    sealed = await client.batch_encrypt(key.key_id, values, encryption_context=table, encryption_contexts=contexts)
    assert [(item.index, item.code) for item in sealed.failed] == [(n, "ValidationException") for n in (1, 2, 4, 5)]
    assert [place for place, blob in enumerate(sealed.ciphertext_blobs) if blob is not None] == [0, 3]
    first, second = (blob for blob in sealed.ciphertext_blobs if blob is not None)
    await client.rotate_key_on_demand(key.key_id)
    other = (await client.create_key()).key_metadata
    newer = [(await client.encrypt(one.key_id, b"n", encryption_context=table)).ciphertext_blob for one in (key, other)]
    opened = await client.batch_decrypt(
        [first, second, second, *newer, b"junk"],
        encryption_context=table,
        encryption_contexts=[None, {"row": "3"}, None, None, None, None],
    )
    assert opened.plaintexts == [b"a", b"b", None, b"n", b"n", None]
    assert [(item.index, item.code) for item in opened.failed] == [
        (2, "InvalidCiphertextException"),
        (5, "InvalidCiphertextException"),
    ]
    assert opened.key_material_indexes == [0, 0, None, 1, 2, None]
    assert [material.key_id for material in opened.key_materials] == [key.arn, key.arn, other.arn]
    insisted = await client.batch_decrypt([first, newer[1]], encryption_context=table, key_id=other.key_id)
    assert [item.code for item in insisted.failed] == ["IncorrectKeyException"]


async def test_batches_move_between_keys_and_make_data_keys(client: Client, key: KeyMetadata) -> None:
    other = (await client.create_key()).key_metadata
    blob = (await client.encrypt(key.key_id, b"x", encryption_context={"a": "1"})).ciphertext_blob
    moved = await client.batch_re_encrypt(
        [blob, b"junk"],
        other.key_id,
        source_key_id=key.key_id,
        source_encryption_contexts=[{"a": "1"}, None],
        destination_encryption_context={"a": "2"},
    )
    assert (moved.key_id, moved.source_key_material_indexes) == (other.arn, [0, None])
    assert [item.index for item in moved.failed] == [1]
    assert moved.ciphertext_blobs[0] is not None
    assert (await client.decrypt(moved.ciphertext_blobs[0], encryption_context={"a": "2"})).plaintext == b"x"
    made = await client.batch_generate_data_key(
        key.key_id, 2, key_spec="AES_256", encryption_context={"a": "1"}, encryption_contexts=[{"b": "1"}, {"a": "2"}]
    )
    assert [plaintext is None for plaintext in made.plaintexts] == [False, True]
    assert [item.code for item in made.failed] == ["ValidationException"]
    wrapped = await client.batch_generate_data_key_without_plaintext(key.key_id, 3, number_of_bytes=9)
    blobs = [blob for blob in wrapped.ciphertext_blobs if blob is not None]
    assert [len(plaintext or b"") for plaintext in (await client.batch_decrypt(blobs)).plaintexts] == [9, 9, 9]


async def test_a_batch_fails_as_a_whole_where_its_key_does(client: Client, key: KeyMetadata) -> None:
    for fails in (
        client.batch_encrypt("alias/none", [b"x"]),
        client.batch_decrypt([b"x"], key_id="alias/none"),
        client.batch_re_encrypt([b"x"], key.key_id, source_key_id="alias/none"),
    ):
        with pytest.raises(NotFoundException):
            await fails
    await client.disable_key(key.key_id)
    with pytest.raises(DisabledException):
        await client.batch_encrypt(key.key_id, [b"x"])


async def test_what_is_denied_for_one_value_is_denied_for_many(kms: FakeKms, client: Client, key: KeyMetadata) -> None:
    kms.deny("alice", "Encrypt")
    with pytest.raises(AccessDeniedException, match="to perform: kms:Encrypt"):
        await client.batch_encrypt(key.key_id, [b"x"])
    kms.allow("alice", "Encrypt")
    kms.deny("alice", "BatchEncrypt")
    await client.encrypt(key.key_id, b"x")
    with pytest.raises(AccessDeniedException):
        await client.batch_encrypt(key.key_id, [b"x"])


async def test_messages_that_are_too_long_either_way_are_refused(client: Client, key: KeyMetadata) -> None:
    with pytest.raises(ValidationException, match="at most 4194304 bytes"):
        await client.batch_encrypt(key.key_id, [b"x" * 5_000_000])
    with pytest.raises(ValidationException, match="send fewer items"):
        await client.batch_generate_data_key(key.key_id, 10_000, number_of_bytes=1024)


async def test_policies_are_stored(client: Client, key: KeyMetadata) -> None:
    policy = '{"Version": "2012-10-17", "Statement": []}'
    await client.put_key_policy(key.key_id, policy, policy_name="default")
    assert (await client.get_key_policy(key.key_id)).policy == policy
    await client.put_account_policy(policy)
    assert (await client.get_account_policy()).policy == policy
    assert [name async for name in client.iter_key_policies(key.key_id)] == ["default"]
    for broken in ("{", "[]", "{}"):
        with pytest.raises(MalformedPolicyDocumentException):
            await client.put_account_policy(broken)
    with pytest.raises(NotFoundException):
        await client.get_key_policy(key.key_id, policy_name="other")


async def test_what_the_fake_cannot_do_it_refuses(client: Client, key: KeyMetadata) -> None:
    with pytest.raises(UnsupportedOperationException):
        await client.create_key(key_spec="RSA_2048", key_usage="SIGN_VERIFY")
    with pytest.raises(UnsupportedOperationException):
        await client.create_key(origin="EXTERNAL")
    with pytest.raises(InvalidKeyUsageException):
        await client.encrypt(key.key_id, b"x", encryption_algorithm="RSAES_OAEP_SHA_1")
    with pytest.raises(DryRunOperationException):
        await client.encrypt(key.key_id, b"x", dry_run=True)
    with pytest.raises(InvalidMarkerException):
        await client.list_keys(marker="what")
    with pytest.raises(ValidationException):
        await client.call(Operation.ENCRYPT, DecryptRequest(ciphertext_blob=b"x"))


async def test_denials_are_per_principal_and_operation(kms: FakeKms, client: Client, key: KeyMetadata) -> None:
    kms.deny("alice", "Decrypt")
    sealed = await client.encrypt(key.key_id, b"x")
    with pytest.raises(AccessDeniedException, match="user/alice is not authorized to perform: kms:Decrypt"):
        await client.decrypt(sealed.ciphertext_blob)
    async with kms.client("bob") as bob:
        assert (await bob.decrypt(sealed.ciphertext_blob)).plaintext == b"x"
    kms.allow("alice", Operation.DECRYPT)
    await client.decrypt(sealed.ciphertext_blob)


async def test_failures_come_in_the_order_given_and_then_end(kms: FakeKms, client: Client) -> None:
    kms.fail_next("GenerateRandom", ThrottlingException("slow"))
    kms.fail_next(Operation.GENERATE_RANDOM, DeadlineExceeded("nobody"))
    with pytest.raises(ThrottlingException):
        await client.generate_random(1)
    with pytest.raises(DeadlineExceeded):
        await client.generate_random(1)
    await client.generate_random(1)
    assert kms.calls[Operation.GENERATE_RANDOM] == 3
