"""Sealing and opening many under one derivation: what it shares, what it never shares, and what it refuses."""

import os
import uuid
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kmsq_worker import envelope, kdf
from kmsq_worker.envelope import BlobHeader, Opener, Sealer
from kmsq_worker.errors import InvalidCiphertextException, ValidationException
from kmsq_worker.secret import Secret
from vectors.files import vectors

KEY_ID = str(uuid.uuid4())
HEADER = BlobHeader(KEY_ID, 7)
CONTEXT = {"tenant": "acme", "table": "people"}
ASSOCIATED = envelope.encode_context(CONTEXT)
FRONT, SALT, COMMITMENT, IV = slice(0, 70), slice(22, 38), slice(38, 70), slice(70, 82)  # docs/ciphertext.md
DRAW = "kmsq_worker.envelope.os.urandom"


@pytest.fixture
def material() -> Secret:
    return Secret.random(envelope.MATERIAL_BYTES)


def sealed(sealer: Sealer, plaintext: bytes, associated: bytes) -> bytes:
    """Return the one blob."""
    (blob,) = sealer.seal([plaintext], [associated])
    return blob


def refusal(opener: Opener, material: Secret, blob: bytes, associated: bytes = ASSOCIATED) -> str | None:
    """Return the reason, for the audit record, of a refusal that says nothing else."""
    with pytest.raises(InvalidCiphertextException) as caught:
        opener.open(material, blob, associated)
    assert caught.value.message == str(caught.value) == ""
    return caught.value.reason


def test_what_a_sealer_seals_is_a_blob_as_any_other(material: Secret) -> None:
    sealer = Sealer(material, HEADER)
    for plaintext in (b"x", b"y" * 4096):
        blob = sealed(sealer, plaintext, ASSOCIATED)
        assert envelope.parse_header(blob) == HEADER
        assert len(blob) == len(plaintext) + envelope.OVERHEAD_BYTES
        assert envelope.open_blob(material, blob, CONTEXT) == plaintext
    assert envelope.open_blob(material, sealed(sealer, b"x", b""), {}) == b"x"


def test_an_opener_opens_blobs_from_everywhere(material: Secret) -> None:
    sealer, opener = Sealer(material, HEADER), Opener()
    blobs = [sealed(sealer, b"one", ASSOCIATED), envelope.seal(material, HEADER, b"two", CONTEXT)]
    blobs += [sealed(Sealer(material, HEADER), b"three", ASSOCIATED), sealed(sealer, b"four", ASSOCIATED)]
    assert [opener.open(material, blob, ASSOCIATED) for blob in blobs * 2] == [b"one", b"two", b"three", b"four"] * 2


def test_one_sealer_has_one_salt_and_never_an_iv_twice(material: Secret) -> None:
    sealer, count = Sealer(material, HEADER), 10_000
    blobs = [blob for _ in range(10) for blob in sealer.seal([b"x"] * (count // 10), [b""] * (count // 10))]
    assert len({blob[FRONT] for blob in blobs}) == 1
    assert len({blob[IV] for blob in blobs}) == count


def test_the_ivs_are_the_operating_systems_whole_and_in_no_order(material: Secret) -> None:
    """Bytes drawn together are cut without gap or overlap: what is drawn is what is used."""
    drawn: list[bytes] = []
    real = os.urandom

    def noting(count: int) -> bytes:
        drawn.append(real(count))
        return drawn[-1]

    with patch(DRAW, noting):
        sealer = Sealer(material, HEADER)
        blobs = [blob for count in (1, 64, 535) for blob in sealer.seal([b"x"] * count, [b""] * count)]
    assert drawn[0] == blobs[0][SALT]
    assert b"".join(drawn[1:]) == b"".join(blob[IV] for blob in blobs)


def test_a_sealer_gives_the_blobs_in_order_and_each_its_own_context(material: Secret) -> None:
    contexts = [{"row": str(row)} for row in range(100)]
    texts = [str(row).encode() for row in range(100)]
    blobs = Sealer(material, HEADER).seal(texts, map(envelope.encode_context, contexts))
    pairs = zip(blobs, contexts, strict=True)
    assert [envelope.open_blob(material, blob, context) for blob, context in pairs] == texts
    assert Sealer(material, HEADER).seal([], []) == []


def test_two_sealers_never_share_a_derivation(material: Secret) -> None:
    count = 2_000
    blobs = [sealed(Sealer(material, HEADER), b"x", b"") for _ in range(count)]
    assert len({blob[SALT] for blob in blobs}) == len({blob[COMMITMENT] for blob in blobs}) == count


def test_a_derivation_is_made_once_for_all_that_share_it(material: Secret) -> None:
    sealer = Sealer(material, HEADER)
    blobs = sealer.seal([b"x"] * 300, [b""] * 300) + [envelope.seal(material, HEADER, b"x", {})] * 2
    opener = Opener()
    with patch("kmsq_worker.envelope.kdf.derive", wraps=kdf.derive) as derive:
        for blob in blobs:
            opener.open(material, blob, b"")
    assert derive.call_count == 2


def test_the_commitment_is_compared_on_the_cached_path_too(material: Secret) -> None:
    """The second blob has the salt, the message key and a valid tag of the first, and commits to something else."""
    first = sealed(Sealer(material, HEADER), b"x", ASSOCIATED)
    output = kdf.derive(material.reveal(), envelope.ENCRYPT_LABEL, first[SALT] + uuid.UUID(KEY_ID).bytes, 64)
    front = first[:38] + bytes(31) + b"\x01" + first[IV]
    forged = front + AESGCM(output[:32]).encrypt(first[IV], b"forged", front + ASSOCIATED)
    fresh, used = Opener(), Opener()
    assert used.open(material, first, ASSOCIATED) == b"x"
    with patch.object(envelope, "AESGCM") as aesgcm:
        assert refusal(used, material, forged) == refusal(fresh, material, forged) == "commitment"
    aesgcm.return_value.decrypt.assert_not_called()


def test_every_bit_of_a_blob_counts_whether_its_derivation_is_known_or_not(material: Secret) -> None:
    blob, known = sealed(Sealer(material, HEADER), b"hello", ASSOCIATED), Opener()
    known.open(material, blob, ASSOCIATED)
    for bit in range(8 * len(blob)):
        changed = bytearray(blob)
        changed[bit // 8] ^= 1 << bit % 8
        for opener in (known, Opener()):
            refusal(opener, material, bytes(changed))
    assert known.open(material, blob, ASSOCIATED) == b"hello"


@pytest.mark.parametrize("other", [{}, {"tenant": "acme"}, {**CONTEXT, "x": ""}, {"tenant": "people", "table": "acme"}])
def test_a_blob_opens_in_its_own_context_only(material: Secret, other: dict[str, str]) -> None:
    opener, blob = Opener(), sealed(Sealer(material, HEADER), b"x", ASSOCIATED)
    for _ in range(2):
        assert refusal(opener, material, blob, envelope.encode_context(other)) == "tag"
        assert opener.open(material, blob, ASSOCIATED) == b"x"


def test_a_blob_that_is_valid_under_two_keys_opens_under_one() -> None:
    (vector,) = vectors("two_keys")
    right, wrong = (Secret(bytes.fromhex(vector[name])) for name in ("opens_under", "refused_under"))
    blob, associated = bytes.fromhex(vector["blob"]), envelope.encode_context(vector["context"])
    assert Opener().open(right, blob, associated) == envelope.open_blob(right, blob, vector["context"])
    refused = Opener()
    assert [refusal(refused, wrong, blob, associated) for _ in range(2)] == [vector["reason"]] * 2


@pytest.mark.parametrize("length", [0, 98, 6145])
def test_what_has_no_blobs_length_names_nothing_and_opens_nothing(material: Secret, length: int) -> None:
    junk = (b"\x01\x01" + bytes(length))[:length]
    assert refusal(Opener(), material, junk) == "length"
    with pytest.raises(InvalidCiphertextException):
        envelope.named_material(junk)


@pytest.mark.parametrize(("place", "reason"), [(0, "version"), (1, "suite")])
def test_what_is_of_another_format_names_nothing(material: Secret, place: int, reason: str) -> None:
    blob = bytearray(sealed(Sealer(material, HEADER), b"x", b""))
    blob[place] = 2
    with pytest.raises(InvalidCiphertextException) as caught:
        envelope.named_material(bytes(blob))
    assert caught.value.reason == reason
    assert refusal(Opener(), material, bytes(blob), b"") == reason


@pytest.mark.parametrize("length", [0, 4097, 10_000])
def test_a_plaintext_of_the_wrong_length_takes_no_iv_and_its_neighbours_take_none(
    material: Secret, length: int
) -> None:
    sealer = Sealer(material, HEADER)
    with patch(DRAW) as urandom, pytest.raises(ValidationException, match="1 to 4096"):
        sealer.seal([b"x", bytes(length)], [b"", b""])
    urandom.assert_not_called()


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_material_of_another_length_neither_seals_nor_opens(material: Secret, length: int) -> None:
    wrong = Secret.random(length)
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(wrong, HEADER)
    with pytest.raises(ValueError, match="32 bytes"):
        Opener().open(wrong, sealed(Sealer(material, HEADER), b"x", b""), b"")
