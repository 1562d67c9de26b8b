"""
A second implementation of docs/envelope.md, and the maker of its vectors.

It shares no code with the client: the standard library, AES-GCM from `cryptography`, and the page.

    cd tests && python -m vectors.envelope_maker
"""

import hashlib
import json
from hmac import compare_digest

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vectors.vector_maker import FOLDER, Vector, encode_context, fixed, kbkdf

CHUNK = 65_536
SEALED_CHUNK = CHUNK + 16
DATA_KEY = fixed("data key of envelopes", 32)
WRAPPED = b"\x01\x01" + fixed("wrapped data key", 128)  # looks like a ciphertext blob; only its key id is read
SHOWN_BYTES = 64  # longer messages are shown by their digest


def plaintext(size: int) -> bytes:
    """Return the message of so many bytes."""
    return fixed("plaintext", size)


def header(data_key: bytes, context: dict[str, str], name: str) -> Vector:
    """Derive what one message needs. Salt and nonce prefix come from `name`."""
    salt, prefix, encoded = fixed(name + " salt", 32), fixed(name + " prefix", 7), encode_context(context)
    bound = b"KMSQ-ENV\x01\x01" + salt + prefix + len(encoded).to_bytes(2, "big") + encoded
    derived = kbkdf(data_key, "kmsq/v1/envelope", salt + hashlib.sha256(bound).digest(), 64)
    return {
        "name": name,
        "data_key": data_key.hex(),
        "wrapped_key": WRAPPED.hex(),
        "context": context,
        "salt": salt.hex(),
        "nonce_prefix": prefix.hex(),
        "message_key": derived[:32].hex(),
        "commitment": derived[32:].hex(),
        "header": (bound + derived[32:] + len(WRAPPED).to_bytes(2, "big") + WRAPPED).hex(),
    }


def chunks(vector: Vector, message: bytes) -> list[bytes]:
    """Encrypt, chunk by chunk."""
    cipher, prefix = AESGCM(bytes.fromhex(vector["message_key"])), bytes.fromhex(vector["nonce_prefix"])
    parts = [message[start : start + CHUNK] for start in range(0, max(1, len(message)), CHUNK)]
    return [
        cipher.encrypt(prefix + number.to_bytes(4, "big") + bytes([number == len(parts) - 1]), part, None)
        for number, part in enumerate(parts)
    ]


def seal(vector: Vector, message: bytes) -> bytes:
    """Return the whole envelope."""
    return bytes.fromhex(vector["header"]) + b"".join(chunks(vector, message))


def open_envelope(data_key: bytes, envelope: bytes) -> bytes:
    """Open; any exception is a refusal."""
    context_end = 51 + int.from_bytes(envelope[49:51], "big")
    bound, commitment = envelope[:context_end], envelope[context_end : context_end + 32]
    start = context_end + 34 + int.from_bytes(envelope[context_end + 32 : context_end + 34], "big")
    derived = kbkdf(data_key, "kmsq/v1/envelope", bound[10:42] + hashlib.sha256(bound).digest(), 64)
    known = bound[:10] == b"KMSQ-ENV\x01\x01" and len(data_key) == 32
    if not known or not compare_digest(derived[32:], commitment):
        raise ValueError
    parts = [envelope[at : at + SEALED_CHUNK] for at in range(start, len(envelope), SEALED_CHUNK)]
    opened = [
        AESGCM(derived[:32]).decrypt(bound[42:49] + n.to_bytes(4, "big") + bytes([n == len(parts) - 1]), part, None)
        for n, part in enumerate(parts)
    ]
    if not opened or (len(opened) > 1 and not opened[-1]):
        raise ValueError
    return b"".join(opened)


def envelopes() -> list[Vector]:
    """List what must seal to exactly these bytes, and open."""
    longest = {"k": "v" * (8192 - 9)}
    cases: list[tuple[str, dict[str, str], int]] = [
        ("short", {"order": "17"}, 5),
        ("empty", {}, 0),
        ("longest-context", longest, 1),
        ("sorted-by-utf8", {"b": "1", "a": "2", "é": "3", "\U0001f511": "4", "\uffff": "5"}, 16),
        ("one-byte-less-than-a-chunk", {}, CHUNK - 1),
        ("a-full-chunk", {}, CHUNK),
        ("one-byte-more-than-a-chunk", {}, CHUNK + 1),
        ("three-chunks", {"order": "17"}, 3 * CHUNK),
    ]
    made = []
    for name, context, size in cases:
        vector = header(DATA_KEY, context, name)
        message = plaintext(size)
        sealed = seal(vector, message)
        shown = {"plaintext": message.hex(), "envelope": sealed.hex()} if size <= SHOWN_BYTES else {}
        digests = {"plaintext_bytes": size, "envelope_sha256": hashlib.sha256(sealed).hexdigest()}
        made.append({**vector, **digests, **shown})
    return made


def envelopes_refused() -> list[Vector]:
    """List envelopes that must not open, as pieces of one that does: [start, end] of its bytes, or other bytes."""
    size = len(bytes.fromhex(header(DATA_KEY, {"order": "17"}, "three-chunks")["header"]))
    first, second, third, end = (size + number * SEALED_CHUNK for number in range(4))
    context_end = 51 + len(encode_context({"order": "17"}))
    wrapped = context_end + 34

    def refused(name: str, *pieces: list[int] | str, data_key: bytes = DATA_KEY) -> Vector:
        given = {"of": "three-chunks", "data_key": data_key.hex(), "pieces": pieces}
        return {"name": name, **given, "error": "InvalidEnvelope"}

    def put(name: str, at: int, digits: str) -> Vector:
        return refused(name, [0, at], digits, [at + len(digits) // 2, end])

    original = seal(header(DATA_KEY, {"order": "17"}, "three-chunks"), plaintext(3 * CHUNK))

    def flip(name: str, at: int) -> Vector:
        return put(name, at, f"{original[at] ^ 1:02x}")

    return [
        flip("magic-changed", 0),
        put("version-0", 8, "00"),
        put("version-2", 8, "02"),
        put("suite-2", 9, "02"),
        flip("salt-changed", 10),
        flip("nonce-prefix-changed", 48),
        put("context-size-too-large", 49, "2001"),
        put("context-shorter", 49, f"{context_end - 51 - 1:04x}"),
        flip("context-name-changed", 55),
        flip("context-value-changed", context_end - 1),
        flip("commitment-first-bit-changed", context_end),
        flip("commitment-last-bit-changed", wrapped - 3),
        put("wrapped-key-of-no-bytes", wrapped - 2, "0000"),
        put("wrapped-key-too-long", wrapped - 2, "1801"),
        flip("wrapped-key-size-changed", wrapped - 1),
        flip("first-chunk-changed", first),
        flip("first-tag-changed", second - 1),
        flip("last-chunk-changed", third),
        flip("last-tag-changed", end - 1),
        refused("nothing"),
        refused("header-cut-off", [0, wrapped]),
        refused("no-chunks", [0, size]),
        refused("cut-off-by-one", [0, end - 1]),
        refused("cut-off-within-a-tag", [0, third + 15]),
        refused("last-chunk-missing", [0, third]),
        refused("middle-chunk-missing", [0, second], [third, end]),
        refused("first-chunk-missing", [0, first], [second, end]),
        refused("chunks-swapped", [0, first], [second, third], [first, second], [third, end]),
        refused("last-chunk-first", [0, first], [third, end], [second, third], [first, second]),
        refused("chunk-twice", [0, second], [first, end]),
        refused("last-chunk-twice", [0, end], [third, end]),
        refused("one-byte-more", [0, end], "00"),
        refused("sixteen-bytes-more", [0, end], "00" * 16),
        refused("another-data-key", [0, end], data_key=fixed("another data key", 32)),
        refused("data-key-too-short", [0, end], data_key=DATA_KEY[:31]),
        refused("data-key-with-a-zero-more", [0, end], data_key=DATA_KEY + b"\0"),
        empty_last_chunk(),
    ]


def empty_last_chunk() -> Vector:
    """Make an envelope, with the right key, whose full chunk is followed by an empty last one."""
    vector = header(DATA_KEY, {"order": "17"}, "three-chunks")
    cipher, prefix = AESGCM(bytes.fromhex(vector["message_key"])), bytes.fromhex(vector["nonce_prefix"])
    size = len(bytes.fromhex(vector["header"]))
    empty = cipher.encrypt(prefix + bytes([0, 0, 0, 2, 1]), b"", None)
    return {
        "name": "empty-last-chunk-after-a-full-one",
        "of": "three-chunks",
        "data_key": DATA_KEY.hex(),
        "pieces": [[0, size + 2 * SEALED_CHUNK], empty.hex()],
        "error": "InvalidEnvelope",
    }


def cells() -> list[Vector]:
    """List cell keys, what is stored of each, and cells that they must seal to exactly these bytes, and open."""
    made = []
    for name, context in (("one-pair", {"table": "cards"}), ("no-context", {})):
        digest = hashlib.sha256(encode_context(context)).digest()
        derived = kbkdf(DATA_KEY, "kmsq/v1/cells", digest, 64)
        values = []
        for value, associated in ((b"4111 1111 1111 1111", b"number"), (b"", b""), (b"\0", "näme".encode())):
            iv = fixed(name + value.hex() + " iv", 12)
            cell = b"\x01" + iv + AESGCM(derived[:32]).encrypt(iv, value, b"\x01" + associated)
            values.append(
                {"plaintext": value.hex(), "associated": associated.hex(), "iv": iv.hex(), "cell": cell.hex()}
            )
        made.append(
            {
                "name": name,
                "data_key": DATA_KEY.hex(),
                "wrapped_key": WRAPPED.hex(),
                "context": context,
                "cell_key": derived[:32].hex(),
                "stored": (b"\x01" + derived[32:] + WRAPPED).hex(),
                "cells": values,
            }
        )
    return made


MAKERS = {"envelopes": envelopes, "envelopes_refused": envelopes_refused, "cells": cells}


def render(name: str) -> str:
    """Return the text of `<name>.json`."""
    return json.dumps(MAKERS[name](), indent=1) + "\n"


if __name__ == "__main__":
    for file_name in MAKERS:
        (FOLDER / f"{file_name}.json").write_text(render(file_name), encoding="ascii")
