"""How requests of one operation become a batch, and its reply their replies."""

from typing import Any

import pytest

from fakes.held import ARN, MATERIAL, SYMMETRIC
from kmsq.coalescing.group import ITEMS_MAX, REQUEST_MAX_BYTES
from kmsq.coalescing.kinds import KINDS
from kmsq_schemas import limits
from kmsq_schemas.content import ContentType
from kmsq_schemas.models import (
    BatchDecryptReply,
    BatchGenerateDataKeyReply,
    BatchGenerateDataKeyWithoutPlaintextReply,
    BatchGenerateMacReply,
    BatchReEncryptReply,
    DataKeySpec,
    DecryptReply,
    DecryptRequest,
    DryRunModifier,
    EncryptionAlgorithm,
    EncryptRequest,
    GenerateDataKeyReply,
    GenerateDataKeyRequest,
    GenerateDataKeyWithoutPlaintextReply,
    GenerateDataKeyWithoutPlaintextRequest,
    GenerateMacReply,
    GenerateMacRequest,
    MacAlgorithm,
    RecipientInfo,
    ReEncryptReply,
    ReEncryptRequest,
    Request,
)
from kmsq_schemas.models.batches import BatchRequest, UsedMaterial
from kmsq_schemas.operations import SPECS, Operation, Queue

OTHER_ARN = ARN.replace("8a1ee1ee", "9a1ee1ee")
OTHER_MATERIAL = "b" * 64
USED = [
    UsedMaterial(key_id=ARN, key_material_id=MATERIAL),
    UsedMaterial(key_id=OTHER_ARN, key_material_id=OTHER_MATERIAL),
]
RSA = EncryptionAlgorithm.RSAES_OAEP_SHA_256

ORDINARY: list[Request] = [
    EncryptRequest(key_id="k", plaintext=b"x"),
    EncryptRequest(key_id="k", plaintext=b"x", encryption_algorithm=SYMMETRIC, dry_run=False, grant_tokens=[]),
    DecryptRequest(ciphertext_blob=b"x"),
    DecryptRequest(ciphertext_blob=b"x", key_id="k", encryption_algorithm=SYMMETRIC),
    ReEncryptRequest(ciphertext_blob=b"x", destination_key_id="k"),
    GenerateDataKeyRequest(key_id="k", number_of_bytes=16),
    GenerateDataKeyWithoutPlaintextRequest(key_id="k", key_spec=DataKeySpec.AES_256),
    GenerateMacRequest(message=b"x", key_id="k", mac_algorithm=MacAlgorithm.HMAC_SHA_256),
]
SPECIAL: list[Request] = [
    EncryptRequest(key_id="k", plaintext=b"x", encryption_algorithm=RSA),
    DecryptRequest(ciphertext_blob=b"x", encryption_algorithm=RSA),
    DecryptRequest(ciphertext_blob=b"x", recipient=RecipientInfo()),
    DecryptRequest(ciphertext_blob=b"x", dry_run_modifiers=[DryRunModifier.IGNORE_CIPHERTEXT]),
    ReEncryptRequest(ciphertext_blob=b"x", destination_key_id="k", source_encryption_algorithm=RSA),
    ReEncryptRequest(ciphertext_blob=b"x", destination_key_id="k", destination_encryption_algorithm=RSA),
    ReEncryptRequest(
        ciphertext_blob=b"x", destination_key_id="k", dry_run_modifiers=[DryRunModifier.IGNORE_CIPHERTEXT]
    ),
    GenerateDataKeyRequest(key_id="k", number_of_bytes=16, recipient=RecipientInfo()),
    *(
        type(request).model_validate({**request.model_dump(by_alias=True, exclude_none=True), **special})
        for request in ORDINARY
        for special in ({"DryRun": True}, {"GrantTokens": ["token"]})
    ),
]


def test_each_batch_operation_is_what_one_kind_makes() -> None:
    made = {kind.batch: kind.operation for kind in KINDS.values()}
    batches = [operation for operation, spec in SPECS.items() if spec.queue is Queue.BATCH]
    assert made == {batch: Operation(batch.of_one) for batch in batches}
    assert all(SPECS[kind.operation].request is request for request, kind in KINDS.items())


@pytest.mark.parametrize("request_", ORDINARY)
def test_ordinary_requests_belong_to_a_group(request_: Request) -> None:
    kind = KINDS[type(request_)]
    assert kind.group(request_) is not None
    batch = kind.join([request_, request_])
    assert isinstance(batch, SPECS[kind.batch].request)
    assert isinstance(batch, BatchRequest)
    assert batch.item_count == 2


@pytest.mark.parametrize("request_", SPECIAL)
def test_special_requests_belong_to_none(request_: Request) -> None:
    assert KINDS[type(request_)].group(request_) is None


def test_what_a_batch_says_once_tells_groups_apart() -> None:
    apart: list[Request] = [
        EncryptRequest(key_id="k", plaintext=b"x"),
        EncryptRequest(key_id="l", plaintext=b"x"),
        DecryptRequest(ciphertext_blob=b"x"),
        DecryptRequest(ciphertext_blob=b"x", key_id="k"),
        ReEncryptRequest(ciphertext_blob=b"x", destination_key_id="k"),
        ReEncryptRequest(ciphertext_blob=b"x", destination_key_id="l"),
        ReEncryptRequest(ciphertext_blob=b"x", destination_key_id="k", source_key_id="l"),
        GenerateDataKeyRequest(key_id="k", number_of_bytes=32),
        GenerateDataKeyRequest(key_id="k", number_of_bytes=16),
        GenerateDataKeyRequest(key_id="k", key_spec=DataKeySpec.AES_256),
        GenerateDataKeyWithoutPlaintextRequest(key_id="k", key_spec=DataKeySpec.AES_256),
        GenerateMacRequest(message=b"x", key_id="k", mac_algorithm=MacAlgorithm.HMAC_SHA_256),
        GenerateMacRequest(message=b"x", key_id="k", mac_algorithm=MacAlgorithm.HMAC_SHA_512),
    ]
    assert len({KINDS[type(request)].group(request) for request in apart}) == len(apart)


def test_each_opened_blob_has_its_own_key_and_material() -> None:
    reply = BatchDecryptReply(
        plaintexts=[b"a", None, b"c"],
        encryption_algorithm=SYMMETRIC,
        key_materials=USED,
        key_material_indexes=[1, None, 0],
        failed=[],
    )
    assert KINDS[DecryptRequest].split(reply) == [
        DecryptReply(key_id=OTHER_ARN, plaintext=b"a", encryption_algorithm=SYMMETRIC, key_material_id=OTHER_MATERIAL),
        None,
        DecryptReply(key_id=ARN, plaintext=b"c", encryption_algorithm=SYMMETRIC, key_material_id=MATERIAL),
    ]


@pytest.mark.parametrize("indexes", [[2, 0], [-1, 0], [None, 0], [0]])
def test_an_opened_blob_without_its_material_is_refused(indexes: list[int | None]) -> None:
    reply = BatchDecryptReply(
        plaintexts=[b"a", b"b"],
        encryption_algorithm=SYMMETRIC,
        key_materials=USED,
        key_material_indexes=indexes,
        failed=[],
    )
    with pytest.raises(ValueError, match=r"material|zip"):
        KINDS[DecryptRequest].split(reply)


def re_encrypted(**destination: str) -> BatchReEncryptReply:
    return BatchReEncryptReply(
        ciphertext_blobs=[b"a", None],
        source_encryption_algorithm=SYMMETRIC,
        destination_encryption_algorithm=SYMMETRIC,
        source_key_materials=USED,
        source_key_material_indexes=[1, None],
        failed=[],
        **destination,
    )


def test_each_moved_blob_tells_where_from_and_where_to() -> None:
    reply = re_encrypted(key_id=ARN, destination_key_material_id=MATERIAL)
    assert KINDS[ReEncryptRequest].split(reply) == [
        ReEncryptReply(
            ciphertext_blob=b"a",
            source_key_id=OTHER_ARN,
            key_id=ARN,
            source_encryption_algorithm=SYMMETRIC,
            destination_encryption_algorithm=SYMMETRIC,
            source_key_material_id=OTHER_MATERIAL,
            destination_key_material_id=MATERIAL,
        ),
        None,
    ]


def test_a_moved_blob_without_its_destination_is_refused() -> None:
    with pytest.raises(ValueError, match="destination"):
        KINDS[ReEncryptRequest].split(re_encrypted())


def test_where_no_blob_may_move_the_destination_is_not_told() -> None:
    reply = BatchReEncryptReply(
        ciphertext_blobs=[None, None],
        source_encryption_algorithm=SYMMETRIC,
        destination_encryption_algorithm=SYMMETRIC,
        source_key_materials=[],
        source_key_material_indexes=[None, None],
        failed=[],
    )
    assert KINDS[ReEncryptRequest].split(reply) == [None, None]


def test_data_keys_come_in_pairs() -> None:
    reply = BatchGenerateDataKeyReply(
        ciphertext_blobs=[b"a", None], plaintexts=[b"A", None], key_id=ARN, key_material_id=MATERIAL, failed=[]
    )
    assert KINDS[GenerateDataKeyRequest].split(reply) == [
        GenerateDataKeyReply(ciphertext_blob=b"a", plaintext=b"A", key_id=ARN, key_material_id=MATERIAL),
        None,
    ]
    without = BatchGenerateDataKeyWithoutPlaintextReply(
        ciphertext_blobs=[None, b"b"], key_id=ARN, key_material_id=MATERIAL, failed=[]
    )
    assert KINDS[GenerateDataKeyWithoutPlaintextRequest].split(without) == [
        None,
        GenerateDataKeyWithoutPlaintextReply(ciphertext_blob=b"b", key_id=ARN, key_material_id=MATERIAL),
    ]


def test_macs_are_of_one_key_and_algorithm() -> None:
    reply = BatchGenerateMacReply(macs=[b"m", None], mac_algorithm=MacAlgorithm.HMAC_SHA_256, key_id=ARN, failed=[])
    assert KINDS[GenerateMacRequest].split(reply) == [
        GenerateMacReply(mac=b"m", mac_algorithm=MacAlgorithm.HMAC_SHA_256, key_id=ARN),
        None,
    ]


def distinct_blob(number: int) -> bytes:
    """Return a blob that seems to be of a key of its own, as long as a batch of the greatest count has room for."""
    return number.to_bytes(20, "big") + bytes(REQUEST_MAX_BYTES // ITEMS_MAX - 40)


@pytest.mark.parametrize(
    "requests",
    [
        [EncryptRequest(key_id="k", plaintext=bytes(1000))] * ITEMS_MAX,
        [EncryptRequest(key_id="k", plaintext=b"x")] * ITEMS_MAX,
        [DecryptRequest(ciphertext_blob=distinct_blob(number)) for number in range(ITEMS_MAX)],
        [
            ReEncryptRequest(ciphertext_blob=distinct_blob(number), destination_key_id="k")
            for number in range(ITEMS_MAX)
        ],
        [GenerateDataKeyRequest(key_id="k", number_of_bytes=limits.RANDOM_MAX_BYTES)] * ITEMS_MAX,
        [GenerateMacRequest(message=bytes(900), key_id="k", mac_algorithm=MacAlgorithm.HMAC_SHA_512)] * ITEMS_MAX,
    ],
)
def test_the_greatest_batch_has_a_reply_within_the_limit(requests: list[Any]) -> None:
    kind = KINDS[type(requests[0])]
    assert sum(map(kind.item_max_bytes, requests)) <= REQUEST_MAX_BYTES
    batch = kind.join(requests)
    assert isinstance(batch, BatchRequest)
    assert batch.reply_max_bytes(ContentType.CBOR) <= limits.MESSAGE_MAX_BYTES
