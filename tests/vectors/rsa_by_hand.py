"""RSA signatures as RFC 8017 writes them, with Python's integers and hashlib: a second opinion, for tests only."""

import hashlib
from itertools import count

# RFC 8017 §9.2, notes: DigestInfo of each hash, up to the digest.
DIGEST_INFOS = {
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}


def digest(hash_name: str, *parts: bytes) -> bytes:
    """Hash the parts as one."""
    return hashlib.new(hash_name, b"".join(parts)).digest()


def pkcs1_v1_5(length: int, hash_name: str, message: bytes) -> bytes:
    """Return the encoded message of §9.2, `length` bytes, which the signature of RSASSA-PKCS1-v1_5 hides nothing of."""
    info = DIGEST_INFOS[hash_name] + digest(hash_name, message)
    return b"\x00\x01" + b"\xff" * (length - len(info) - 3) + b"\x00" + info


def open_signature(n: int, e: int, signature: bytes) -> bytes:
    """Apply the public key (§5.2.2)."""
    return pow(int.from_bytes(signature, "big"), e, n).to_bytes(len(signature), "big")


def mask(seed: bytes, length: int, hash_name: str) -> bytes:
    """Return MGF1 (§B.2.1)."""
    output = b""
    for counter in count():
        if len(output) >= length:
            break
        output += digest(hash_name, seed, counter.to_bytes(4, "big"))
    return output[:length]


def pss_salt(encoded: bytes, hash_name: str, message: bytes) -> bytes | None:
    """Return the salt of an encoded message (§9.1.2) of any length, or nothing where the standard says inconsistent."""
    hash_length = hashlib.new(hash_name).digest_size
    masked, hashed = encoded[: -hash_length - 1], encoded[-hash_length - 1 : -1]
    block = bytearray(left ^ right for left, right in zip(masked, mask(hashed, len(masked), hash_name), strict=True))
    block[0] &= 0x7F  # the modulus has a multiple of 8 bits: one bit fewer is left for the encoded message
    padding, one, salt = bytes(block).partition(b"\x01")
    expected = digest(hash_name, bytes(8), digest(hash_name, message), salt)
    consistent = encoded[-1] == 0xBC and masked[0] < 0x80 and not any(padding) and one and hashed == expected
    return salt if consistent else None


def pss(length: int, hash_name: str, message: bytes, salt: bytes) -> bytes:
    """Return the encoded message (§9.1.1) with a given salt."""
    hashed = digest(hash_name, bytes(8), digest(hash_name, message), salt)
    block = bytes(length - len(hashed) - len(salt) - 2) + b"\x01" + salt
    masked = bytearray(left ^ right for left, right in zip(block, mask(hashed, len(block), hash_name), strict=True))
    masked[0] &= 0x7F
    return bytes(masked) + hashed + b"\xbc"
