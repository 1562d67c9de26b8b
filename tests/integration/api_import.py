"""Importing key material, as whoever has it does."""

from integration.api import Api, Reply, new_key
from kmsq.importing import wrap_key_material

OAEP = "RSAES_OAEP_SHA_256"
WITH_AES = "RSA_AES_KEY_WRAP_SHA_256"
FOR_EVER = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}


async def parameters(api: Api, key: str, algorithm: str = OAEP, wrapping_key: str = "RSA_2048") -> Reply:
    """Return what is needed to wrap material for `key`."""
    request = {"KeyId": key, "WrappingAlgorithm": algorithm, "WrappingKeySpec": wrapping_key}
    return await api("GetParametersForImport", **request)


async def wrapped(api: Api, key: str, material: bytes, algorithm: str = OAEP, wrapping_key: str = "RSA_2048") -> Reply:
    """Return the members of ImportKeyMaterial that name the key, the token and the wrapped material."""
    given = await parameters(api, key, algorithm, wrapping_key)
    encrypted = wrap_key_material(material, given["PublicKey"], algorithm)
    return {"KeyId": key, "ImportToken": given["ImportToken"], "EncryptedKeyMaterial": encrypted}


async def import_material(api: Api, key: str, material: bytes, algorithm: str = OAEP, **more: object) -> Reply:
    """Import material into `key`, for ever unless `more` says otherwise."""
    request = await wrapped(api, key, material, algorithm)
    return await api("ImportKeyMaterial", **request, **({} if "ValidTo" in more else FOR_EVER), **more)


async def import_code(api: Api, key: str, material: bytes, algorithm: str = OAEP, **more: object) -> str:
    """Import what must be refused, and return the error's code."""
    request = await wrapped(api, key, material, algorithm)
    return await api.code("ImportKeyMaterial", **request, **({} if "ValidTo" in more else FOR_EVER), **more)


async def imported_key(api: Api, material: bytes, spec: str, usage: str) -> Reply:
    """Create a key, import its material, and return what its metadata were before."""
    key = await new_key(api, Origin="EXTERNAL", KeySpec=spec, KeyUsage=usage)
    await import_material(api, key["KeyId"], material, WITH_AES)
    return key
