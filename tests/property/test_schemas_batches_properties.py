"""No reply to a batch is longer than was known beforehand, and a batch is refused exactly by the documented rule."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmsq_schemas import limits, models
from kmsq_schemas.codec import ContentType, encode
from kmsq_schemas.errors import ErrorCode
from kmsq_schemas.models import BatchRequest, FailedItem, Reply, UsedMaterial
from kmsq_schemas.models.batches import FAILURE_MESSAGE_MAX_CHARS
from kmsq_schemas.models.enums import EncryptionAlgorithm, MacAlgorithm

OVERHEAD = 98  # bytes of a blob over its plaintext: docs/ciphertext.md
ARN = f"arn:kmsq:kms:{'r' * limits.REGION_MAX_CHARS}:000000000000:key/00000000-0000-4000-8000-000000000000"
MATERIAL = "0a" * 32
USED = UsedMaterial(key_id=ARN, key_material_id=MATERIAL)
LONGEST_CODE = max((code.value for code in ErrorCode), key=len)
LONGEST_ALGORITHM = max(EncryptionAlgorithm, key=lambda algorithm: len(algorithm.value))

Blobs: TypeAlias = list[bytes | None]


class Made(NamedTuple):
    """What the longest reply consists of; None where an item failed."""

    sizes: Sequence[int | None]
    failed: list[FailedItem]
    materials: int

    def blobs(self, more: int = 0) -> Blobs:
        return [None if size is None else b"x" * (size + more) for size in self.sizes]

    @property
    def indexes(self) -> list[int | None]:
        return [None if size is None else self.materials - 1 for size in self.sizes]


class Case(NamedTuple):
    """An operation: a request of items of `sizes` bytes, its longest reply, the bytes of an item's results."""

    request: Callable[[Sequence[int], int], BatchRequest]
    reply: Callable[[Made], Reply]
    result: Callable[[int], int]
    largest: int = limits.PLAINTEXT_MAX_BYTES


def blobs(sizes: Sequence[int], materials: int) -> list[bytes]:
    """Return as many blobs, of plaintexts of `sizes` bytes, which name `materials` materials in turn."""
    names = [bytes((1, 1)) + number.to_bytes(20, "big") for number in range(materials)]
    return [names[place % materials] + b"x" * (size + OVERHEAD - 22) for place, size in enumerate(sizes)]


CASES: Mapping[str, Case] = {
    "BatchEncrypt": Case(
        lambda sizes, _: models.BatchEncryptRequest(key_id="k", plaintexts=[b"x" * size for size in sizes]),
        lambda made: models.BatchEncryptReply(
            key_id=ARN,
            key_material_id=MATERIAL,
            encryption_algorithm=LONGEST_ALGORITHM,
            ciphertext_blobs=made.blobs(OVERHEAD),
            failed=made.failed,
        ),
        lambda size: size + OVERHEAD,
    ),
    "BatchDecrypt": Case(
        lambda sizes, materials: models.BatchDecryptRequest(ciphertext_blobs=blobs(sizes, materials)),
        lambda made: models.BatchDecryptReply(
            plaintexts=made.blobs(),
            encryption_algorithm=LONGEST_ALGORITHM,
            key_materials=[USED] * made.materials,
            key_material_indexes=made.indexes,
            failed=made.failed,
        ),
        lambda size: size + OVERHEAD,
    ),
    "BatchReEncrypt": Case(
        lambda sizes, materials: models.BatchReEncryptRequest(
            ciphertext_blobs=blobs(sizes, materials), destination_key_id="k"
        ),
        lambda made: models.BatchReEncryptReply(
            ciphertext_blobs=made.blobs(OVERHEAD),
            key_id=ARN,
            source_encryption_algorithm=LONGEST_ALGORITHM,
            destination_encryption_algorithm=LONGEST_ALGORITHM,
            destination_key_material_id=MATERIAL,
            source_key_materials=[USED] * made.materials,
            source_key_material_indexes=made.indexes,
            failed=made.failed,
        ),
        lambda size: size + OVERHEAD,
    ),
    "BatchGenerateDataKey": Case(
        lambda sizes, _: models.BatchGenerateDataKeyRequest(
            key_id="k", number_of_keys=len(sizes), number_of_bytes=sizes[0]
        ),
        lambda made: models.BatchGenerateDataKeyReply(
            ciphertext_blobs=made.blobs(OVERHEAD),
            plaintexts=made.blobs(),
            key_id=ARN,
            key_material_id=MATERIAL,
            failed=made.failed,
        ),
        lambda size: 2 * size + OVERHEAD,
        largest=limits.RANDOM_MAX_BYTES,
    ),
    "BatchGenerateDataKeyWithoutPlaintext": Case(
        lambda sizes, _: models.BatchGenerateDataKeyWithoutPlaintextRequest(
            key_id="k", number_of_keys=len(sizes), number_of_bytes=sizes[0]
        ),
        lambda made: models.BatchGenerateDataKeyWithoutPlaintextReply(
            ciphertext_blobs=made.blobs(OVERHEAD), key_id=ARN, key_material_id=MATERIAL, failed=made.failed
        ),
        lambda size: size + OVERHEAD,
        largest=limits.RANDOM_MAX_BYTES,
    ),
    "BatchGenerateMac": Case(
        lambda sizes, _: models.BatchGenerateMacRequest(
            key_id="k", messages=[b"x" * size for size in sizes], mac_algorithm=MacAlgorithm.HMAC_SHA_512
        ),
        lambda made: models.BatchGenerateMacReply(
            macs=[None if size is None else b"x" * 64 for size in made.sizes],
            mac_algorithm=MacAlgorithm.HMAC_SHA_512,
            key_id=ARN,
            failed=made.failed,
        ),
        lambda _: 64,
    ),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
OF_ONE_LENGTH = {"BatchGenerateDataKey", "BatchGenerateDataKeyWithoutPlaintext"}


def failed_item(index: int) -> FailedItem:
    return FailedItem(index=index, code=LONGEST_CODE, message="m" * FAILURE_MESSAGE_MAX_CHARS)


def longest_reply(case: Case, sizes: Sequence[int], failing: set[int], materials: int) -> Reply:
    left = [None if index in failing else size for index, size in enumerate(sizes)]
    return case.reply(Made(left, [failed_item(index) for index in sorted(failing)], materials))


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=60)
@given(data=st.data())
def test_no_reply_is_longer_than_was_said_whichever_items_fail(name: str, data: st.DataObject) -> None:
    case = CASES[name]
    lengths = st.integers(1, case.largest)
    sizes = data.draw(st.lists(lengths, min_size=1, max_size=60))
    if name in OF_ONE_LENGTH:
        sizes = [sizes[0]] * len(sizes)
    failing = data.draw(st.sets(st.integers(0, len(sizes) - 1)))
    materials = data.draw(st.integers(1, len(sizes)))
    request = case.request(sizes, materials)
    for content_type in ContentType:
        bound = request.reply_max_bytes(content_type)
        for failed in (failing, set[int](), set(range(len(sizes)))):
            assert len(encode(longest_reply(case, sizes, failed, materials), content_type)) <= bound


@every_case
@pytest.mark.parametrize("content_type", ContentType)
@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_a_full_batch_keeps_to_its_bound(case: Case, content_type: ContentType, share: float) -> None:
    """As many items as the rule lets through, none, half, or all of which fail."""
    for size in (1, 202, case.largest):
        count = min(most_items(case, size, content_type), limits.BATCH_ITEMS_MAX)
        failing = set(range(int(count * share)))
        reply = longest_reply(case, [size] * count, failing, 1)
        bound = case.request([size] * count, 1).reply_max_bytes(content_type)
        assert len(encode(reply, content_type)) <= bound <= limits.MESSAGE_MAX_BYTES


def documented(case: Case, size: int, count: int, content_type: ContentType) -> int:
    """How long the reply can become, in the words of docs/messages.md; blobs name one material."""
    result = case.result(size)
    if content_type is ContentType.JSON:
        result = 4 * ((result + 4) // 3)
    names_material = isinstance(case.request([size], 1), models.BatchDecryptRequest | models.BatchReEncryptRequest)
    return 4096 + count * max(result + 24, 400) + (320 if names_material else 0)


def most_items(case: Case, size: int, content_type: ContentType) -> int:
    each = documented(case, size, 2, content_type) - documented(case, size, 1, content_type)
    return 1 + (limits.MESSAGE_MAX_BYTES - documented(case, size, 1, content_type)) // each


@every_case
@pytest.mark.parametrize("content_type", ContentType)
@settings(max_examples=15)
@given(data=st.data())
def test_a_batch_is_refused_exactly_by_the_documented_rule(
    case: Case, content_type: ContentType, data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, case.largest))
    most = most_items(case, size, content_type)
    for count in (most, most + 1):
        if count <= limits.BATCH_ITEMS_MAX:
            bound = case.request([size] * count, 1).reply_max_bytes(content_type)
            assert (bound <= limits.MESSAGE_MAX_BYTES) is (count == most)


@every_case
def test_an_escaped_character_or_forty_do_not_break_the_bound(case: Case) -> None:
    """In JSON a quote in a message is two bytes: no message of the service has more than a few."""
    message = '"' * 40 + "m" * (FAILURE_MESSAGE_MAX_CHARS - 40)
    count = limits.BATCH_ITEMS_MAX
    failed = [FailedItem(index=index, code=LONGEST_CODE, message=message) for index in range(count)]
    bound = case.request([1] * count, 1).reply_max_bytes(ContentType.JSON)
    assert len(encode(case.reply(Made([None] * count, failed, 1)), ContentType.JSON)) <= bound
