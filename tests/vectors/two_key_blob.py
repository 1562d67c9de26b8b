"""
How one AES-GCM ciphertext gets a valid tag under two keys: the attack that a key commitment stops.

The tag is linear in every ciphertext block (NIST SP 800-38D §6.4, §7.1), so whoever knows both keys sets the two tags
equal and solves for one block.
"""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK = 16
ONE = 1 << 127  # GCM's bit order: the first bit is the coefficient of x⁰
POLYNOMIAL = 0xE1 << 120


def two_key_ciphertext(keys: tuple[bytes, bytes], iv: bytes, associated: bytes) -> bytes:
    """Return a block of ciphertext ‖ tag (32 bytes) that both `keys` accept with this IV and associated data."""
    hashes = [int.from_bytes(_encrypt_block(key, bytes(BLOCK)), "big") for key in keys]
    masks = [int.from_bytes(_encrypt_block(key, iv + b"\x00\x00\x00\x01"), "big") for key in keys]
    without = [mask ^ _ghash(h, associated, bytes(BLOCK)) for h, mask in zip(hashes, masks, strict=True)]
    squares = [_multiply(h, h) for h in hashes]  # the last ciphertext block counts times H²
    block = _multiply(without[0] ^ without[1], _inverse(squares[0] ^ squares[1]))
    ciphertext = block.to_bytes(BLOCK, "big")
    tag = masks[0] ^ _ghash(hashes[0], associated, ciphertext)
    return ciphertext + tag.to_bytes(BLOCK, "big")


def _encrypt_block(key: bytes, block: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)  # noqa: S305  # one block: AES itself


def _ghash(h: int, associated: bytes, ciphertext: bytes) -> int:
    lengths = (8 * len(associated)).to_bytes(8, "big") + (8 * len(ciphertext)).to_bytes(8, "big")
    data = associated + bytes(-len(associated) % BLOCK) + ciphertext + bytes(-len(ciphertext) % BLOCK) + lengths
    total = 0
    for start in range(0, len(data), BLOCK):
        total = _multiply(total ^ int.from_bytes(data[start : start + BLOCK], "big"), h)
    return total


def _multiply(left: int, right: int) -> int:
    product = 0
    for shift in range(127, -1, -1):
        if left >> shift & 1:
            product ^= right
        right = right >> 1 ^ (POLYNOMIAL if right & 1 else 0)
    return product


def _inverse(value: int) -> int:
    """value^(2^128 - 2)."""
    result = ONE
    for _ in range(127):
        value = _multiply(value, value)
        result = _multiply(result, value)
    return result
