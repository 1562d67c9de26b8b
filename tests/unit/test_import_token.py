"""What an import token promises: it opens for one key, whole, and says what it was made for."""

import uuid
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kmsq_schemas import limits
from kmsq_schemas.models.enums import AlgorithmSpec, KeySpec, WrappingKeySpec
from kmsq_worker.errors import InvalidImportTokenException
from kmsq_worker.import_token import ImportToken, open_token
from kmsq_worker.primitives import import_wrapping
from kmsq_worker.secret import Secret
from kmsq_worker.wrapping import Binding, DomainKey
from vectors import vector_maker

KEY_ID = str(uuid.uuid4())
TOKEN = ImportToken(
    key_id=KEY_ID,
    key_spec=KeySpec.ECC_NIST_P256,
    algorithm=AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_256,
    expires_at=1_800_000_086_400_000,
    private_key=Secret(b"a private key, as long as it likes to be"),
)


@pytest.fixture
def domain_key() -> DomainKey:
    return DomainKey.generate()


def binding(key_id: str = KEY_ID, purpose: str = "import-token") -> bytes:
    """Return associated data as the page says, but for the header in front."""
    parts = [vector_maker.len32(text.encode()) for text in (key_id, "", "EXTERNAL", purpose)]
    return bytes(4) + b"".join(parts)


def by_hand(domain_key: DomainKey, content: bytes) -> bytes:
    """Seal `content` as a token, from docs/ciphertext.md alone."""
    header, iv = b"\x01" + domain_key.id.bytes, bytes(12)
    wrap_key = vector_maker.kbkdf(domain_key.key.reveal(), "kmsq/v1/wrap", domain_key.id.bytes, 32)
    return header + iv + AESGCM(wrap_key).encrypt(iv, content, header + binding())


def content(*, algorithm: bytes = b"RSA_AES_KEY_WRAP_SHA_256", key_spec: bytes = b"ECC_NIST_P256") -> bytes:
    names = vector_maker.len32(algorithm) + vector_maker.len32(key_spec)
    return TOKEN.expires_at.to_bytes(8, "big") + names + TOKEN.private_key.reveal()


def assert_same(opened: ImportToken) -> None:
    assert opened.private_key.reveal() == TOKEN.private_key.reveal()
    for name in ("key_id", "key_spec", "algorithm", "expires_at"):
        assert getattr(opened, name) == getattr(TOKEN, name)


def test_a_token_opens_as_what_it_was(domain_key: DomainKey) -> None:
    assert_same(open_token(domain_key, KEY_ID, TOKEN.seal(domain_key)))


def test_the_page_is_enough_to_make_a_token_and_to_open_one(domain_key: DomainKey) -> None:
    assert_same(open_token(domain_key, KEY_ID, by_hand(domain_key, content())))
    token = TOKEN.seal(domain_key)
    wrap_key = vector_maker.kbkdf(domain_key.key.reveal(), "kmsq/v1/wrap", domain_key.id.bytes, 32)
    assert AESGCM(wrap_key).decrypt(token[17:29], token[29:], token[:17] + binding()) == content()


def test_every_bit_of_a_token_counts(domain_key: DomainKey) -> None:
    token = TOKEN.seal(domain_key)
    for bit in range(8 * len(token)):
        changed = bytearray(token)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(InvalidImportTokenException):
            open_token(domain_key, KEY_ID, bytes(changed))


def test_no_part_of_a_token_opens(domain_key: DomainKey) -> None:
    token = TOKEN.seal(domain_key)
    for length in range(len(token)):
        with pytest.raises(InvalidImportTokenException):
            open_token(domain_key, KEY_ID, token[:length])
    with pytest.raises(InvalidImportTokenException):
        open_token(domain_key, KEY_ID, token + b"\x00")


def test_a_token_opens_for_no_other_key_and_under_no_other_domain_key(domain_key: DomainKey) -> None:
    token = TOKEN.seal(domain_key)
    with pytest.raises(InvalidImportTokenException):
        open_token(domain_key, str(uuid.uuid4()), token)
    with pytest.raises(InvalidImportTokenException):
        open_token(DomainKey.generate(), KEY_ID, token)


def test_stored_material_is_no_token(domain_key: DomainKey) -> None:
    """Whoever can read the database sends what he finds there, wrapped for the same key."""
    place = Binding(KEY_ID, 1, KeySpec.ECC_NIST_P256, "EXTERNAL", "key-material")
    for elsewhere in (place, replace(place, material_number=0), replace(place, material_number=0, key_spec="")):
        with pytest.raises(InvalidImportTokenException):
            open_token(domain_key, KEY_ID, domain_key.wrap(Secret(content()), elsewhere))


@pytest.mark.parametrize("names", [{"algorithm": b"FROM_THE_FUTURE"}, {"key_spec": b"RSA_9"}, {"key_spec": b"\xff"}])
def test_a_token_of_a_newer_worker_s_is_refused_and_nothing_of_it_is_shown(
    domain_key: DomainKey, names: dict[str, bytes]
) -> None:
    with pytest.raises(InvalidImportTokenException) as caught:
        open_token(domain_key, KEY_ID, by_hand(domain_key, content(**names)))
    assert caught.value.reason == "import-token-unknown-content"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_all_tokens_that_do_not_open_are_answered_alike(domain_key: DomainKey) -> None:
    messages = set()
    for token in (b"x", TOKEN.seal(DomainKey.generate()), by_hand(domain_key, content(key_spec=b"RSA_9"))):
        with pytest.raises(InvalidImportTokenException) as caught:
            open_token(domain_key, KEY_ID, token)
        messages.add(caught.value.message)
    assert len(messages) == 1


def test_a_token_shows_nothing_of_its_private_key(domain_key: DomainKey) -> None:
    assert TOKEN.private_key.reveal() not in TOKEN.seal(domain_key)
    assert "a private key" not in repr(TOKEN)


def test_the_longest_token_fits_into_a_request(domain_key: DomainKey) -> None:
    longest = max(KeySpec, key=len), max(AlgorithmSpec, key=len)
    private_key = import_wrapping.generate_wrapping_key(WrappingKeySpec.RSA_4096).private_key
    token = ImportToken(KEY_ID, *longest, TOKEN.expires_at, private_key).seal(domain_key)
    assert len(token) <= 2_500 < limits.IMPORT_TOKEN_MAX_BYTES
