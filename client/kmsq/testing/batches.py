"""Batches: what the fake does with one value, done with many, each of which succeeds or fails by itself."""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from kmsq.errors import ServiceError, ValidationException
from kmsq.testing import blobs
from kmsq.testing.usage import SYMMETRIC, source, usable
from kmsq.testing.world import FakeKey, World
from kmsq_schemas import limits, models
from kmsq_schemas.models import FailedItem, UsedMaterial

Context: TypeAlias = Mapping[str, str]
DataKeyRequest: TypeAlias = models.BatchGenerateDataKeyRequest | models.BatchGenerateDataKeyWithoutPlaintextRequest


class _Contexts:
    """Pairs that all items share, and pairs of their own."""

    def __init__(self, shared: Context | None, own: Sequence[Context | None] | None) -> None:
        self._shared = shared or {}
        self._own = own

    def of(self, index: int) -> Context:
        own = (self._own[index] if self._own else None) or {}
        if not self._shared.keys().isdisjoint(own):
            raise ValidationException("The item's own EncryptionContext repeats a key of the shared one.")
        context = {**self._shared, **own}
        text = "".join([*context, *context.values()]).encode()
        if len(text) + 2 * limits.CONTEXT_LENGTH_BYTES * len(context) > limits.CONTEXT_MAX_BYTES:
            message = f"EncryptionContext is longer than {limits.CONTEXT_MAX_BYTES} bytes."
            raise ValidationException(message)
        return context


class _Results:
    """A blob for each item, or why there is none."""

    def __init__(self, count: int, do: Callable[[int], bytes]) -> None:
        self.blobs: list[bytes | None] = [None] * count
        self.failed: list[FailedItem] = []
        for index in range(count):
            try:
                self.blobs[index] = do(index)
            except ServiceError as error:
                self.failed.append(FailedItem(index=index, code=error.code, message=error.message))


class _Used:
    """The materials that opened blobs, and which of them opened which."""

    def __init__(self, count: int) -> None:
        self.indexes: list[int | None] = [None] * count
        self._ids: dict[tuple[str, str], int] = {}

    def note(self, index: int, key: FakeKey, number: int) -> None:
        name = key.arn, key.materials[number].material_id
        self.indexes[index] = self._ids.setdefault(name, len(self._ids))

    def __iter__(self) -> Iterator[UsedMaterial]:
        return (UsedMaterial(key_id=arn, key_material_id=material_id) for arn, material_id in self._ids)


def batch_encrypt(world: World, request: models.BatchEncryptRequest) -> models.BatchEncryptReply:
    """Encrypt each."""
    key = usable(world.locate(request.key_id))
    contexts = _Contexts(request.encryption_context, request.encryption_contexts)
    results = _Results(request.item_count, lambda index: _seal(key, request.plaintexts[index], contexts.of(index)))
    return models.BatchEncryptReply(
        key_id=key.arn,
        key_material_id=key.material_id,
        encryption_algorithm=SYMMETRIC,
        ciphertext_blobs=results.blobs,
        failed=results.failed,
    )


def batch_decrypt(world: World, request: models.BatchDecryptRequest) -> models.BatchDecryptReply:
    """Decrypt each."""
    contexts = _Contexts(request.encryption_context, request.encryption_contexts)
    used = _Used(request.item_count)
    if request.key_id is not None:
        world.locate(request.key_id)  # one that is not there fails all

    def open_one(index: int) -> bytes:
        plaintext, key, number = _open(world, request.ciphertext_blobs[index], request.key_id, contexts.of(index))
        used.note(index, key, number)
        return plaintext

    results = _Results(request.item_count, open_one)
    return models.BatchDecryptReply(
        plaintexts=results.blobs,
        encryption_algorithm=SYMMETRIC,
        key_materials=list(used),
        key_material_indexes=used.indexes,
        failed=results.failed,
    )


def batch_re_encrypt(world: World, request: models.BatchReEncryptRequest) -> models.BatchReEncryptReply:
    """Decrypt each and encrypt it again."""
    destination = usable(world.locate(request.destination_key_id))
    sources = _Contexts(request.source_encryption_context, request.source_encryption_contexts)
    destinations = _Contexts(request.destination_encryption_context, request.destination_encryption_contexts)
    used = _Used(request.item_count)
    if request.source_key_id is not None:
        world.locate(request.source_key_id)

    def move_one(index: int) -> bytes:
        blob, context = request.ciphertext_blobs[index], destinations.of(index)
        plaintext, key, number = _open(world, blob, request.source_key_id, sources.of(index))
        used.note(index, key, number)
        return blobs.seal(destination, plaintext, context)

    results = _Results(request.item_count, move_one)
    return models.BatchReEncryptReply(
        ciphertext_blobs=results.blobs,
        key_id=destination.arn,
        source_encryption_algorithm=SYMMETRIC,
        destination_encryption_algorithm=SYMMETRIC,
        destination_key_material_id=destination.material_id,
        source_key_materials=list(used),
        source_key_material_indexes=used.indexes,
        failed=results.failed,
    )


def batch_generate_data_key(
    world: World, request: models.BatchGenerateDataKeyRequest
) -> models.BatchGenerateDataKeyReply:
    """Make data keys."""
    key, plaintexts, results = _data_keys(world, request)
    return models.BatchGenerateDataKeyReply(
        ciphertext_blobs=results.blobs,
        plaintexts=[
            None if blob is None else plaintext for blob, plaintext in zip(results.blobs, plaintexts, strict=True)
        ],
        key_id=key.arn,
        key_material_id=key.material_id,
        failed=results.failed,
    )


def batch_generate_data_key_without_plaintext(
    world: World, request: models.BatchGenerateDataKeyWithoutPlaintextRequest
) -> models.BatchGenerateDataKeyWithoutPlaintextReply:
    """Make data keys and keep their plaintexts to ourselves."""
    key, _, results = _data_keys(world, request)
    return models.BatchGenerateDataKeyWithoutPlaintextReply(
        ciphertext_blobs=results.blobs, key_id=key.arn, key_material_id=key.material_id, failed=results.failed
    )


def _data_keys(world: World, request: DataKeyRequest) -> tuple[FakeKey, list[bytes], _Results]:
    key = usable(world.locate(request.key_id))
    contexts = _Contexts(request.encryption_context, request.encryption_contexts)
    plaintexts = [secrets.token_bytes(request.data_key_bytes) for _ in range(request.item_count)]
    return (
        key,
        plaintexts,
        _Results(request.item_count, lambda index: blobs.seal(key, plaintexts[index], contexts.of(index))),
    )


def _seal(key: FakeKey, plaintext: bytes, context: Context) -> bytes:
    if not 1 <= len(plaintext) <= limits.PLAINTEXT_MAX_BYTES:
        message = f"Plaintext has {len(plaintext)} bytes; 1 to {limits.PLAINTEXT_MAX_BYTES} are allowed."
        raise ValidationException(message)
    return blobs.seal(key, plaintext, context)


def _open(world: World, blob: bytes, key_id: str | None, context: Context) -> tuple[bytes, FakeKey, int]:
    key, number = source(world, blob, key_id)
    usable(key)
    return blobs.open_blob(key, number, blob, context), key, number
