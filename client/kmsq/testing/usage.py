"""What the fake's keys are used for."""

import secrets

from kmsq.errors import DryRunOperationException, IncorrectKeyException, InvalidKeyUsageException
from kmsq.testing import blobs
from kmsq.testing.world import FakeKey, World
from kmsq_schemas import models
from kmsq_schemas.models import EncryptionAlgorithm

SYMMETRIC = EncryptionAlgorithm.SYMMETRIC_DEFAULT


def encrypt(world: World, request: models.EncryptRequest) -> models.EncryptReply:
    """Encrypt."""
    key = usable(world.locate(request.key_id), request.encryption_algorithm)
    _stop_if_dry(request.dry_run)
    blob = blobs.seal(key, request.plaintext, request.encryption_context or {})
    return models.EncryptReply(ciphertext_blob=blob, key_id=key.arn, encryption_algorithm=SYMMETRIC)


def decrypt(world: World, request: models.DecryptRequest) -> models.DecryptReply:
    """Decrypt."""
    key, number = source(world, request.ciphertext_blob, request.key_id)
    usable(key, request.encryption_algorithm)
    plaintext = blobs.open_blob(key, number, request.ciphertext_blob, request.encryption_context or {})
    _stop_if_dry(request.dry_run)
    return models.DecryptReply(
        key_id=key.arn,
        plaintext=plaintext,
        encryption_algorithm=SYMMETRIC,
        key_material_id=key.materials[number].material_id,
    )


def re_encrypt(world: World, request: models.ReEncryptRequest) -> models.ReEncryptReply:
    """Decrypt and encrypt again."""
    origin, number = source(world, request.ciphertext_blob, request.source_key_id)
    destination = world.locate(request.destination_key_id)
    usable(origin, request.source_encryption_algorithm)
    usable(destination, request.destination_encryption_algorithm)
    plaintext = blobs.open_blob(origin, number, request.ciphertext_blob, request.source_encryption_context or {})
    _stop_if_dry(request.dry_run)
    return models.ReEncryptReply(
        ciphertext_blob=blobs.seal(destination, plaintext, request.destination_encryption_context or {}),
        source_key_id=origin.arn,
        key_id=destination.arn,
        source_encryption_algorithm=SYMMETRIC,
        destination_encryption_algorithm=SYMMETRIC,
        source_key_material_id=origin.materials[number].material_id,
        destination_key_material_id=destination.material_id,
    )


def generate_data_key(world: World, request: models.GenerateDataKeyRequest) -> models.GenerateDataKeyReply:
    """Make a data key."""
    key = usable(world.locate(request.key_id))
    _stop_if_dry(request.dry_run)
    plaintext = secrets.token_bytes(request.data_key_bytes)
    return models.GenerateDataKeyReply(
        ciphertext_blob=blobs.seal(key, plaintext, request.encryption_context or {}),
        plaintext=plaintext,
        key_id=key.arn,
        key_material_id=key.material_id,
    )


def generate_data_key_without_plaintext(
    world: World, request: models.GenerateDataKeyWithoutPlaintextRequest
) -> models.GenerateDataKeyWithoutPlaintextReply:
    """Make a data key and keep its plaintext to ourselves."""
    key = usable(world.locate(request.key_id))
    _stop_if_dry(request.dry_run)
    blob = blobs.seal(key, secrets.token_bytes(request.data_key_bytes), request.encryption_context or {})
    return models.GenerateDataKeyWithoutPlaintextReply(
        ciphertext_blob=blob, key_id=key.arn, key_material_id=key.material_id
    )


def generate_random(_world: World, request: models.GenerateRandomRequest) -> models.GenerateRandomReply:
    """Return random bytes."""
    return models.GenerateRandomReply(plaintext=secrets.token_bytes(request.number_of_bytes))


def source(world: World, blob: bytes, key_id: str | None) -> tuple[FakeKey, int]:
    """Return the key that opens `blob`, the one named `key_id` if there is such a name, and the material's number."""
    key, number = blobs.find(world, blob)
    if key_id is not None and world.locate(key_id) is not key:
        raise IncorrectKeyException(
            "The key ID in the request does not identify a CMK that can perform this operation."
        )
    return key, number


def usable(key: FakeKey, algorithm: EncryptionAlgorithm | None = None) -> FakeKey:
    """Return `key` if it may be used, with this algorithm."""
    key.require_enabled()
    if algorithm not in (None, SYMMETRIC):
        message = f"Algorithm {algorithm} is incompatible with key spec SYMMETRIC_DEFAULT."
        raise InvalidKeyUsageException(message)
    return key


def _stop_if_dry(dry_run: bool | None) -> None:  # noqa: FBT001  a field of the request, handed on as it is
    if dry_run:
        raise DryRunOperationException("The request would have succeeded, but the DryRun option is set.")
