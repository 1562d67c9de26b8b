"""Key material on its way into a key, as somebody who has the import's parameters sends it."""

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import load_der_public_key

from fakes.database import Database
from fakes.deliveries import NOW, request
from fakes.workers import Lane, change_lane, code_of, turn_lane
from kmsq_schemas.models import (
    DecryptReply,
    DecryptRequest,
    EncryptReply,
    EncryptRequest,
    ImportKeyMaterialRequest,
    Reply,
    Request,
    RotateKeyOnDemandRequest,
)
from kmsq_schemas.models.enums import (
    AlgorithmSpec,
    ExpirationModel,
    ImportType,
    KeySpec,
    KeyState,
    Origin,
    WrappingKeySpec,
)
from kmsq_schemas.operations import SPECS, Operation
from kmsq_worker import keyspecs
from kmsq_worker.import_token import ImportToken
from kmsq_worker.primitives import import_wrapping
from kmsq_worker.primitives.import_wrapping import WrappingKey
from kmsq_worker.store.rows import KeyRow
from kmsq_worker.wrapping import DomainKey

DAY_MS = 86_400_000
STATES = (KeyState.ENABLED, KeyState.DISABLED, KeyState.PENDING_DELETION, KeyState.PENDING_IMPORT)
"""The states that a key with imported material can have."""


@cache
def wrapping_key() -> WrappingKey:
    """Return the pair that everything here is wrapped under, unless a test asks the service for another."""
    return import_wrapping.generate_wrapping_key(WrappingKeySpec.RSA_2048)


def wrap(public_key: bytes, algorithm: AlgorithmSpec, material: bytes) -> bytes:
    """Wrap material as AWS documents it for whoever sends it."""
    key = load_der_public_key(public_key)
    assert isinstance(key, RSAPublicKey)
    used = SHA1() if algorithm.endswith("SHA_1") else SHA256()  # noqa: S303  # the API's
    padding = OAEP(mgf=MGF1(used), algorithm=used, label=None)
    if not algorithm.startswith("RSA_AES"):
        return key.encrypt(material, padding)
    aes_key = os.urandom(32)
    return key.encrypt(aes_key, padding) + aes_key_wrap_with_padding(aes_key, material)


def add_external_key(database: Database, spec: KeySpec = KeySpec.SYMMETRIC_DEFAULT, **columns: Any) -> KeyRow:
    """Insert a key that waits for its material."""
    waiting = {"key_state": KeyState.PENDING_IMPORT, "origin": Origin.EXTERNAL, "current_material": 0}
    return database.add_key(key_spec=spec, key_usage=keyspecs.usages(spec)[-1], **{**waiting, **columns})


def token_for(
    database: Database,
    key_id: str,
    *,
    algorithm: AlgorithmSpec = AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_256,
    expires_at: int = NOW + DAY_MS,
    domain_key: DomainKey | None = None,
) -> bytes:
    """Make a token for a key of the database, whose pair is `wrapping_key`."""
    spec = KeySpec(database.tables.keys[key_id].key_spec)
    token = ImportToken(key_id, spec, algorithm, expires_at, wrapping_key().private_key)
    return token.seal(domain_key or database.domain_key)


def sending(key_id: str, token: bytes, wrapped: bytes, **fields: Any) -> ImportKeyMaterialRequest:
    """Ask to import what was wrapped, which does not expire unless `valid_to` is given; `fields` are the request's."""
    if "valid_to" not in fields:
        fields.setdefault("expiration_model", ExpirationModel.KEY_MATERIAL_DOES_NOT_EXPIRE)
    return ImportKeyMaterialRequest(key_id=key_id, import_token=token, encrypted_key_material=wrapped, **fields)


def importing(database: Database, key_id: str, material: bytes, **fields: Any) -> ImportKeyMaterialRequest:
    """Ask to import `material`, in order unless `fields` say otherwise."""
    wrapped = wrap(wrapping_key().public_key, AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_256, material)
    return sending(key_id, fields.pop("token", None) or token_for(database, key_id), wrapped, **fields)


async def lane_for(database: Database, message: Request) -> Lane:
    """Return a lane that executes requests like this one."""
    operation = Operation(type(message).__name__.removesuffix("Request"))
    return await (change_lane if SPECS[operation].is_change else turn_lane)(database)


async def ask(database: Database, message: Request, **changes: Any) -> Reply:
    """Have one request executed by a worker that knows nothing yet."""
    (reply,) = await (await lane_for(database, message)).run(request(message, **changes))
    return reply


async def code(database: Database, message: Request, **changes: Any) -> str:
    """Return how one request ends."""
    return code_of(await ask(database, message, **changes)).removesuffix("Exception")


async def seal(database: Database, key_id: str, plaintext: bytes = b"secret") -> bytes:
    """Encrypt, which must succeed."""
    reply = await ask(database, EncryptRequest(key_id=key_id, plaintext=plaintext))
    assert isinstance(reply, EncryptReply), reply
    return reply.ciphertext_blob


async def opens(database: Database, blobs: Sequence[bytes], **fields: Any) -> list[str]:
    """Return what comes out of blobs, or how it fails."""
    found = []
    for blob in blobs:
        reply = await ask(database, DecryptRequest(ciphertext_blob=blob, **fields))
        found.append(reply.plaintext.decode() if isinstance(reply, DecryptReply) else code_of(reply))
    return found


async def import_into(database: Database, key_id: str, material: bytes, **fields: Any) -> str:
    """Import material, and return how that ends."""
    return await code(database, importing(database, key_id, material, **fields))


async def key_with(database: Database, *materials: bytes, **fields: Any) -> str:
    """Return a key with imported materials, the last of which is the current one."""
    key_id = add_external_key(database).key_id
    for number, material in enumerate(materials):
        sent = importing(database, key_id, material, import_type=ImportType.NEW_KEY_MATERIAL, **fields)
        assert await code(database, sent) == "ImportKeyMaterialReply"
        if number:
            assert await code(database, RotateKeyOnDemandRequest(key_id=key_id)) == "RotateKeyOnDemandReply"
    return key_id
