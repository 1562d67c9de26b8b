"""MACs, beyond the published vectors."""

from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

from kmsq_schemas.models.enums import KeySpec, MacAlgorithm
from kmsq_worker.errors import KMSInvalidMacException
from kmsq_worker.keyspecs import SYMMETRIC_MATERIAL_BYTES
from kmsq_worker.primitives import macs
from kmsq_worker.secret import Secret

HASHES: dict[MacAlgorithm, hashes.HashAlgorithm] = {
    MacAlgorithm.HMAC_SHA_224: hashes.SHA224(),
    MacAlgorithm.HMAC_SHA_256: hashes.SHA256(),
    MacAlgorithm.HMAC_SHA_384: hashes.SHA384(),
    MacAlgorithm.HMAC_SHA_512: hashes.SHA512(),
}


def material(algorithm: MacAlgorithm) -> Secret:
    return Secret.random(SYMMETRIC_MATERIAL_BYTES[KeySpec(f"HMAC_{algorithm[-3:]}")])


@pytest.mark.parametrize("algorithm", MacAlgorithm)
@pytest.mark.parametrize("length", [0, 1, 64, 128, 4096])
def test_a_mac_is_what_another_implementation_makes(algorithm: MacAlgorithm, length: int) -> None:
    key, message = material(algorithm), Secret.random(length).reveal()
    other = HMAC(key.reveal(), HASHES[algorithm])
    other.update(message)
    mac = macs.generate_mac(key, algorithm, message)
    assert mac == other.finalize()
    assert len(mac) == len(key)


@pytest.mark.parametrize("algorithm", MacAlgorithm)
def test_a_mac_fits_its_message_key_and_algorithm_alone(algorithm: MacAlgorithm) -> None:
    key = material(algorithm)
    mac = macs.generate_mac(key, algorithm, b"message")
    macs.verify_mac(key, algorithm, b"message", mac)
    refused = [(key, algorithm, b"messages"), (material(algorithm), algorithm, b"message")]
    refused += [(key, other, b"message") for other in MacAlgorithm if other is not algorithm]
    for where in refused:
        with pytest.raises(KMSInvalidMacException) as caught:
            macs.verify_mac(*where, mac)
        assert caught.value.message == str(caught.value) == ""


@pytest.mark.parametrize("algorithm", MacAlgorithm)
def test_every_bit_of_a_mac_counts(algorithm: MacAlgorithm) -> None:
    key = material(algorithm)
    mac = macs.generate_mac(key, algorithm, b"message")
    for bit in range(8 * len(mac)):
        changed = bytearray(mac)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(KMSInvalidMacException):
            macs.verify_mac(key, algorithm, b"message", bytes(changed))


def test_macs_are_compared_in_constant_time() -> None:
    key = material(MacAlgorithm.HMAC_SHA_256)
    with (
        patch("hmac.compare_digest", return_value=False) as compare,
        pytest.raises(KMSInvalidMacException),
    ):
        macs.verify_mac(key, MacAlgorithm.HMAC_SHA_256, b"", macs.generate_mac(key, MacAlgorithm.HMAC_SHA_256, b""))
    compare.assert_called_once()
