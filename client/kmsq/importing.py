"""
Bringing your own key material: wrapping it for its import, and the whole import in one call.

    from kmsq.importing import import_key_material

    key = (await client.create_key(origin="EXTERNAL")).key_metadata
    await import_key_material(client, key.key_id, material)

Material is 32 bytes for a symmetric key, as many as its hash for an HMAC key (28, 32, 48, 64), and a private key in
unencrypted PKCS #8, DER, for a key pair. Keep it: what was imported can be deleted or expire, and nobody else has it.
"""

import os
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import load_der_public_key

from kmsq.errors import InvalidRequest
from kmsq.operations import AllOperations
from kmsq_schemas.models import AlgorithmSpec, ExpirationModel, ImportKeyMaterialReply, ImportType, WrappingKeySpec

AES_KEY_BYTES = 32  # API reference, GetParametersForImport: RSA_AES_KEY_WRAP_SHA_n wraps with an AES-256 key
STRONGEST_WRAPPING_KEY = WrappingKeySpec.RSA_4096  # made once for an import, so its slowness does not matter

_SHA1 = SHA1()  # noqa: S303  OAEP needs no resistance to collisions; it is part of the API, and nothing here chooses it
_OAEP_HASHES: Mapping[str, HashAlgorithm] = MappingProxyType(
    {
        AlgorithmSpec.RSAES_OAEP_SHA_1: _SHA1,
        AlgorithmSpec.RSAES_OAEP_SHA_256: SHA256(),
        AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_1: _SHA1,
        AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_256: SHA256(),
    }
)
_WITH_AES = frozenset({AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_1, AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_256})
_MODULUS_BYTES: Mapping[str, int] = MappingProxyType(
    {WrappingKeySpec.RSA_2048: 256, WrappingKeySpec.RSA_3072: 384, WrappingKeySpec.RSA_4096: 512}
)
_IMPORT_TYPES: Mapping[bool, ImportType] = MappingProxyType(
    {True: ImportType.NEW_KEY_MATERIAL, False: ImportType.EXISTING_KEY_MATERIAL}
)


def wrap_key_material(material: bytes, public_key_der: bytes, algorithm: AlgorithmSpec | str) -> bytes:
    """
    Wrap `material` under the public key that `get_parameters_for_import` returned for `algorithm`.

    RSAES_OAEP_SHA_n encrypts the material itself (RFC 8017 §7.1). RSA_AES_KEY_WRAP_SHA_n, which takes any length,
    returns an RSA-OAEP ciphertext, as long as the modulus, of a fresh AES-256 key ‖ the material under that key
    (AES-KWP, RFC 5649).

    Raises `InvalidRequest` for another algorithm, another kind of public key, and material that is empty or too long;
    its text holds nothing of the material.
    """
    hashed_with = _OAEP_HASHES.get(algorithm)
    if hashed_with is None:
        message = f"{algorithm} is none of {', '.join(_OAEP_HASHES)}"
        raise InvalidRequest(message)
    if not material:
        raise InvalidRequest("there is no key material to wrap")
    public_key = _wrapping_key(public_key_der)
    padding = OAEP(MGF1(hashed_with), hashed_with, None)
    if algorithm not in _WITH_AES:
        room = _oaep_max_bytes(public_key.key_size // 8, hashed_with)
        if len(material) > room:
            message = f"{algorithm} under this key takes up to {room} bytes, and there are {len(material)}"
            raise InvalidRequest(message)
        return public_key.encrypt(material, padding)
    aes_key = os.urandom(AES_KEY_BYTES)
    return public_key.encrypt(aes_key, padding) + aes_key_wrap_with_padding(aes_key, material)


def fitting_algorithm(material_bytes: int, wrapping_key_spec: WrappingKeySpec | str) -> AlgorithmSpec:
    """
    Return RSAES_OAEP_SHA_256 where it takes `material_bytes`, else RSA_AES_KEY_WRAP_SHA_256, which takes any length.

    Raises `InvalidRequest` for a spec that is not RSA's.
    """
    modulus_bytes = _MODULUS_BYTES.get(wrapping_key_spec)
    if modulus_bytes is None:
        message = f"{wrapping_key_spec} is none of {', '.join(_MODULUS_BYTES)}"
        raise InvalidRequest(message)
    fits = material_bytes <= _oaep_max_bytes(modulus_bytes, SHA256())
    return AlgorithmSpec.RSAES_OAEP_SHA_256 if fits else AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_256


async def import_key_material(
    client: AllOperations,
    key_id: str,
    material: bytes,
    *,
    valid_to: datetime | None = None,
    description: str | None = None,
    new_material: bool | None = None,
    wrapping_key_spec: WrappingKeySpec | str = STRONGEST_WRAPPING_KEY,
    timeout_seconds: float | None = None,
) -> ImportKeyMaterialReply:
    """
    Give a key, named by id or ARN, whose origin is `EXTERNAL`, its material: parameters, wrapping and import.

    Unlike the operation itself, the material does not expire unless `valid_to` says when. `new_material` adds material
    to a symmetric key that has some, to be used from the next `rotate_key_on_demand` on; False insists on bytes that
    were there before; the service decides if it is left out. `timeout_seconds` is for each of the two requests.

    Raises `KmsqError`: `InvalidRequest` for what cannot be wrapped, before anything is sent.
    """
    if not material:
        raise InvalidRequest("there is no key material to import")
    algorithm = fitting_algorithm(len(material), wrapping_key_spec)
    parameters = await client.get_parameters_for_import(
        key_id, algorithm, wrapping_key_spec, timeout_seconds=timeout_seconds
    )
    return await client.import_key_material(
        key_id,
        parameters.import_token,
        wrap_key_material(material, parameters.public_key, algorithm),
        valid_to=valid_to,
        expiration_model=(
            ExpirationModel.KEY_MATERIAL_DOES_NOT_EXPIRE if valid_to is None else ExpirationModel.KEY_MATERIAL_EXPIRES
        ),
        import_type=None if new_material is None else _IMPORT_TYPES[new_material],
        key_material_description=description,
        timeout_seconds=timeout_seconds,
    )


def _oaep_max_bytes(modulus_bytes: int, hashed_with: HashAlgorithm) -> int:
    return modulus_bytes - 2 * hashed_with.digest_size - 2  # RFC 8017 §7.1.1


def _wrapping_key(public_key_der: bytes) -> RSAPublicKey:
    try:
        key = load_der_public_key(public_key_der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidRequest("the wrapping key is not a public key in DER") from error
    if not isinstance(key, RSAPublicKey):
        raise InvalidRequest("the wrapping key is not an RSA key")
    return key
