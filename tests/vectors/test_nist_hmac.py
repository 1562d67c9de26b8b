"""HMAC against the vectors of RFC 4231."""

import pytest

from kmsq_schemas.models.enums import MacAlgorithm
from kmsq_worker.errors import KMSInvalidMacException
from kmsq_worker.primitives.macs import generate_mac, verify_mac
from kmsq_worker.secret import Secret
from vectors.nist_files import blocks


@pytest.mark.parametrize("algorithm", MacAlgorithm)
def test_hmac_gives_the_published_macs_and_takes_no_others(algorithm: MacAlgorithm) -> None:
    cases = [case for _, case in blocks(f"HMAC/rfc-4231-sha{algorithm[-3:]}.txt") if "Key" in case]
    assert len(cases) == 6
    for case in cases:
        key, message, mac = Secret(bytes.fromhex(case["Key"])), bytes.fromhex(case["Msg"]), bytes.fromhex(case["MD"])
        assert generate_mac(key, algorithm, message) == mac
        verify_mac(key, algorithm, message, mac)
        for wrong in (mac[:-1], mac[:16], mac + b"\x00", mac[:-1] + bytes([mac[-1] ^ 1]), b""):
            with pytest.raises(KMSInvalidMacException) as caught:
                verify_mac(key, algorithm, message, wrong)
            assert caught.value.message == str(caught.value) == ""
