"""GenerateMac and VerifyMac, checked by whoever has the material."""

import hmac

import pytest

from fakes.asking import answer, ask, code, locked_refusal
from fakes.database import ACCOUNT, Database
from kmsq_schemas.models import GenerateMacReply, GenerateMacRequest, VerifyMacReply, VerifyMacRequest
from kmsq_schemas.models.enums import KeySpec, KeyUsage, MacAlgorithm

MESSAGE = b"pay 7 to bob"
SPECS = {
    KeySpec.HMAC_224: MacAlgorithm.HMAC_SHA_224,
    KeySpec.HMAC_256: MacAlgorithm.HMAC_SHA_256,
    KeySpec.HMAC_384: MacAlgorithm.HMAC_SHA_384,
    KeySpec.HMAC_512: MacAlgorithm.HMAC_SHA_512,
}


@pytest.fixture
def database() -> Database:
    return Database()


def add(database: Database, spec: KeySpec) -> str:
    return database.add_key(key_spec=spec, key_usage=KeyUsage.GENERATE_VERIFY_MAC).key_id


async def mac_of(database: Database, key_id: str, algorithm: MacAlgorithm, message: bytes = MESSAGE) -> bytes:
    asked = GenerateMacRequest(key_id=key_id, message=message, mac_algorithm=algorithm)
    made = await answer(GenerateMacReply, database, asked)
    assert (made.key_id, made.mac_algorithm) == (ACCOUNT.key_arn(key_id), algorithm)
    return made.mac


@pytest.mark.parametrize(("spec", "algorithm"), SPECS.items())
async def test_a_mac_is_the_hmac_under_the_key_s_material(
    database: Database, spec: KeySpec, algorithm: MacAlgorithm
) -> None:
    key_id = add(database, spec)
    custody = await database.custody()
    material = custody.unwrap(database.tables.materials[key_id, 1], database.tables.keys[key_id])
    for message in (b"x", MESSAGE, bytes(4096)):
        expected = hmac.digest(material.reveal(), message, f"sha{spec[-3:]}")
        assert await mac_of(database, key_id, algorithm, message) == expected


@pytest.mark.parametrize(("spec", "algorithm"), SPECS.items())
async def test_a_mac_verifies_or_the_answer_is_an_error_and_never_false(
    database: Database, spec: KeySpec, algorithm: MacAlgorithm
) -> None:
    key_id, other = add(database, spec), add(database, spec)
    mac = await mac_of(database, key_id, algorithm)
    right = VerifyMacRequest(key_id=key_id, message=MESSAGE, mac=mac, mac_algorithm=algorithm)
    verified = await answer(VerifyMacReply, database, right)
    assert verified.model_dump() == {
        "key_id": ACCOUNT.key_arn(key_id),
        "mac_valid": True,
        "mac_algorithm": algorithm,
    }
    for wrong in (
        {"message": MESSAGE + b"!"},
        {"mac": mac[:-1] + bytes([mac[-1] ^ 1])},
        {"mac": mac[:-1]},
        {"mac": mac + b"x"},
        {"key_id": other},
    ):
        for dry_run in (None, True):
            reply = await ask(database, right.model_copy(update={**wrong, "dry_run": dry_run}))
            assert reply.model_dump() == {"code": "KMSInvalidMacException", "message": ""}


@pytest.mark.parametrize("spec", SPECS)
async def test_a_key_has_one_algorithm(database: Database, spec: KeySpec) -> None:
    key_id = add(database, spec)
    for algorithm in MacAlgorithm:
        made = GenerateMacRequest(key_id=key_id, message=MESSAGE, mac_algorithm=algorithm)
        if algorithm is SPECS[spec]:
            assert await code(database, made) == "GenerateMacReply"
            continue
        for asked in (made, VerifyMacRequest(mac=b"x", **dict(made)), made.model_copy(update={"dry_run": True})):
            why = f"Algorithm {algorithm} is incompatible with key spec {spec}."
            assert await locked_refusal(database, asked) == ("InvalidKeyUsage", why)


async def test_a_key_is_found_by_every_name(database: Database) -> None:
    key_id = add(database, KeySpec.HMAC_256)
    database.add_alias("alias/mac", key_id)
    macs = set()
    for name in (key_id, "alias/mac", ACCOUNT.key_arn(key_id), ACCOUNT.alias_arn("alias/mac")):
        asked = GenerateMacRequest(key_id=name, message=MESSAGE, mac_algorithm=MacAlgorithm.HMAC_SHA_256)
        macs.add((await answer(GenerateMacReply, database, asked)).mac)
    assert len(macs) == 1
