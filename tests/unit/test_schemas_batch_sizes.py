"""How long a batch's reply can become is known beforehand, and refuses little that would have fitted."""

from kmsq_schemas import limits, models
from kmsq_schemas.codec import ContentType, encode
from kmsq_schemas.models import BatchDecryptRequest, BatchEncryptRequest, BatchRequest, UsedMaterial
from kmsq_schemas.models.batches import MATERIAL_MAX_BYTES
from kmsq_schemas.models.enums import DataKeySpec, MacAlgorithm

JSON, CBOR = ContentType.JSON, ContentType.CBOR
ARN = f"arn:kmsq:kms:{'r' * limits.REGION_MAX_CHARS}:000000000000:key/00000000-0000-4000-8000-000000000000"


def bound(request: BatchRequest, content_type: ContentType = CBOR) -> int:
    return request.reply_max_bytes(content_type)


def test_ten_thousand_values_of_256_bytes_travel_in_cbor_and_over_eight_thousand_in_json() -> None:
    for content_type, most in ((CBOR, limits.BATCH_ITEMS_MAX), (JSON, 8_380)):
        request = BatchEncryptRequest(key_id="k", plaintexts=[b"x" * 256] * most)
        assert bound(request, content_type) <= limits.MESSAGE_MAX_BYTES
        assert len(encode(request, content_type)) <= limits.MESSAGE_MAX_BYTES
    one_more = BatchEncryptRequest(key_id="k", plaintexts=[b"x" * 256] * 8_381)
    assert bound(one_more, JSON) > limits.MESSAGE_MAX_BYTES


def test_what_is_refused_for_its_length_would_have_been_too_long_or_nearly_so() -> None:
    """A thousand values of 4,096 bytes fit into a request, and their blobs do not fit into a reply."""
    request = BatchEncryptRequest(key_id="k", plaintexts=[b"x" * 4096] * 1000)
    assert len(encode(request, CBOR)) < limits.MESSAGE_MAX_BYTES < 1000 * (4096 + 98) + 3 * 1000
    assert bound(request) > limits.MESSAGE_MAX_BYTES
    fewer = BatchEncryptRequest(key_id="k", plaintexts=[b"x" * 4096] * 993)
    assert 0.99 * limits.MESSAGE_MAX_BYTES < bound(fewer) <= limits.MESSAGE_MAX_BYTES


def test_the_full_size_of_the_other_operations_in_cbor() -> None:
    blobs = [bytes(22) + b"x" * 332] * limits.BATCH_ITEMS_MAX
    most = limits.BATCH_ITEMS_MAX
    requests: list[BatchRequest] = [
        BatchDecryptRequest(ciphertext_blobs=blobs),
        models.BatchReEncryptRequest(ciphertext_blobs=blobs, destination_key_id="k"),
        models.BatchGenerateDataKeyRequest(key_id="k", number_of_keys=most, key_spec=DataKeySpec.AES_256),
        models.BatchGenerateDataKeyWithoutPlaintextRequest(key_id="k", number_of_keys=most, number_of_bytes=256),
        models.BatchGenerateMacRequest(
            key_id="k", messages=[b"x" * 256] * most, mac_algorithm=MacAlgorithm.HMAC_SHA_512
        ),
    ]
    assert all(bound(request) <= limits.MESSAGE_MAX_BYTES for request in requests)


def test_each_material_that_blobs_name_has_room_in_the_reply() -> None:
    one, other = (bytes([1, 1]) + bytes([key]) * 20 + b"x" * 100 for key in (1, 2))
    alone = bound(BatchDecryptRequest(ciphertext_blobs=[one, one]))
    assert bound(BatchDecryptRequest(ciphertext_blobs=[one, other])) == alone + MATERIAL_MAX_BYTES
    longest = UsedMaterial(key_id=ARN, key_material_id="0a" * 32)
    assert max(len(encode(longest, content_type)) for content_type in ContentType) < MATERIAL_MAX_BYTES
