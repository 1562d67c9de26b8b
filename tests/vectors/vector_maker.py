"""
A second implementation of docs/ciphertext.md, and the maker of the vectors beside it.

It shares no code with the worker: `hmac` from the standard library, AES-GCM from `cryptography`, and the page. Vectors
are made here and must be met by the worker, so that a mistake would have to be made twice to go unseen.

    cd tests && python -m vectors.vector_maker
"""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vectors.two_key_blob import two_key_ciphertext

FOLDER = Path(__file__).parent
MATERIAL = hashlib.sha256(b"kmsq test vector: material").digest()
OTHER_MATERIAL = hashlib.sha256(b"kmsq test vector: other material").digest()
KEY_ID = "0e94f6ba-7d53-4c5f-9d2c-6a1f4b0c8d11"
OTHER_KEY_ID = "0e94f6ba-7d53-4c5f-9d2c-6a1f4b0c8d12"
DOMAIN_KEY_ID = "5b0d7a3e-91c4-4e6f-8a27-c3d1f0e2b495"
Vector = dict[str, Any]


def fixed(name: str, length: int) -> bytes:
    """Return bytes that look random and never change."""
    return hashlib.shake_256(b"kmsq test vector: " + name.encode()).digest(length)


def kbkdf(key: bytes, label: str, context: bytes, length: int) -> bytes:
    """Derive a key."""
    tail = label.encode() + b"\x00" + context + (8 * length).to_bytes(4, "big")
    blocks = [hmac.digest(key, i.to_bytes(4, "big") + tail, "sha256") for i in range(1, length // 32 + 2)]
    return b"".join(blocks)[:length]


def len32(data: bytes) -> bytes:
    """Put the length before the bytes."""
    return len(data).to_bytes(4, "big") + data


def encode_context(context: dict[str, str]) -> bytes:
    """Encode an encryption context."""
    pairs = sorted((key.encode(), value.encode()) for key, value in context.items())
    return b"".join(len32(key) + len32(value) for key, value in pairs)


def seal(material: bytes, number: int, context: dict[str, str], plaintext: bytes, name: str) -> Vector:
    """Seal under the key KEY_ID and show every value on the way. Salt and IV come from `name`."""
    salt, iv = fixed(name + " salt", 16), fixed(name + " iv", 12)
    key_bytes = bytes.fromhex(KEY_ID.replace("-", ""))
    derived = kbkdf(material, "kmsq/v1/encrypt", salt + key_bytes, 64)
    header = b"\x01\x01" + key_bytes + number.to_bytes(4, "big") + salt + derived[32:] + iv
    associated = header + encode_context(context)
    return {
        "name": name,
        "material": material.hex(),
        "key_id": KEY_ID,
        "material_number": number,
        "salt": salt.hex(),
        "iv": iv.hex(),
        "context": context,
        "encoded_context": encode_context(context).hex(),
        "message_key": derived[:32].hex(),
        "commitment": derived[32:].hex(),
        "plaintext": plaintext.hex(),
        "blob": (header + AESGCM(derived[:32]).encrypt(iv, plaintext, associated)).hex(),
    }


def open_blob(material: bytes, blob: bytes, context: dict[str, str]) -> bytes:
    """Open; any exception is a refusal."""
    if not 99 <= len(blob) <= 6144 or blob[:2] != b"\x01\x01":  # as the page says
        raise ValueError
    derived = kbkdf(material, "kmsq/v1/encrypt", blob[22:38] + blob[2:18], 64)
    if not hmac.compare_digest(derived[32:], blob[38:70]):
        raise ValueError
    return AESGCM(derived[:32]).decrypt(blob[70:82], blob[82:], blob[:82] + encode_context(context))


def material_id(material: bytes, key_id: str) -> str:
    """Return the `KeyMaterialId`."""
    return kbkdf(material, "kmsq/v1/material-id", bytes.fromhex(key_id.replace("-", "")), 32).hex()


def blobs() -> list[Vector]:
    """List what must seal to exactly these bytes, and open."""
    longest = {"k": "v" * (8192 - 9)}
    cases: list[tuple[str, int, dict[str, str], bytes]] = [
        ("one-pair", 1, {"tenant": "acme"}, b"hello"),
        ("no-context", 1, {}, b"hello"),
        ("one-byte", 1, {}, b"\x00"),
        ("data-key", 7, {"purpose": "backup"}, fixed("data key", 32)),
        ("longest-plaintext", 1, {}, fixed("plaintext", 4096)),
        ("longest-context", 1, longest, b"hello"),
        ("sorted-by-utf8", 1, {"b": "1", "a": "2", "aa": "3", "é": "4", "\U0001f511": "5", "\uffff": "6"}, b"hello"),
        ("empty-strings", 1, {"": "", "a": ""}, b"hello"),
        ("pair-of-ab-and-c", 1, {"ab": "c"}, b"hello"),
        ("pair-of-a-and-bc", 1, {"a": "bc"}, b"hello"),
        ("highest-number", 2**32 - 1, {}, b"hello"),
    ]
    return [seal(MATERIAL, number, context, text, name) for name, number, context, text in cases]


def blobs_refused() -> list[Vector]:
    """List blobs that must not open."""
    good = seal(MATERIAL, 1, {"tenant": "acme"}, b"hello", "one-pair")
    blob, right = bytes.fromhex(good["blob"]), good["context"]

    def refused(name: str, reason: str, changed: bytes, **other: object) -> Vector:
        given = {"material": MATERIAL.hex(), "context": right, **other}
        return {"name": name, **given, "blob": changed.hex(), "code": "InvalidCiphertextException", "reason": reason}

    def flip(offset: int) -> bytes:
        return blob[:offset] + bytes([blob[offset] ^ 1]) + blob[offset + 1 :]

    # The right message key and a valid tag over a wrong commitment: only the comparison itself refuses this one.
    forged_header = blob[:38] + bytes(32) + blob[70:82]
    forged_aad = forged_header + encode_context(right)
    sealed = AESGCM(bytes.fromhex(good["message_key"])).encrypt(blob[70:82], b"hello", forged_aad)
    return [
        refused("version-0", "version", b"\x00" + blob[1:]),
        refused("version-2", "version", b"\x02" + blob[1:]),
        refused("suite-0", "suite", blob[:1] + b"\x00" + blob[2:]),
        refused("suite-2", "suite", blob[:1] + b"\x02" + blob[2:]),
        refused("key-id-changed", "commitment", flip(2)),
        refused("material-number-changed", "tag", flip(21)),
        refused("salt-changed", "commitment", flip(22)),
        refused("commitment-first-bit-changed", "commitment", flip(38)),
        refused("commitment-last-bit-changed", "commitment", flip(69)),
        refused("iv-changed", "tag", flip(70)),
        refused("ciphertext-changed", "tag", flip(82)),
        refused("tag-changed", "tag", flip(len(blob) - 1)),
        refused("truncated-by-one", "tag", blob[:-1]),
        refused("extended-by-one", "tag", blob + b"\x00"),
        refused("empty", "length", b""),
        refused("header-alone", "length", blob[:82]),
        refused("no-ciphertext", "length", blob[:98]),
        refused("too-long", "length", blob + bytes(6145 - len(blob))),
        refused("longest-and-wrong", "tag", blob + bytes(6144 - len(blob))),
        refused("context-missing", "tag", blob, context={}),
        refused("context-value-wrong", "tag", blob, context={"tenant": "acmf"}),
        refused("context-case-differs", "tag", blob, context={"Tenant": "acme"}),
        refused("context-pair-added", "tag", blob, context={"tenant": "acme", "x": ""}),
        refused("context-split-differently", "tag", blob, context={"tenan": "tacme"}),
        refused("material-wrong", "commitment", blob, material=OTHER_MATERIAL.hex()),
        refused("commitment-wrong-but-tag-valid", "commitment", forged_header + sealed),
    ]


def seals_refused() -> list[Vector]:
    """List inputs that must not seal. Lone surrogates are written as JSON escapes."""
    cases: list[tuple[str, dict[str, str], bytes]] = [
        ("plaintext-empty", {}, b""),
        ("plaintext-too-long", {}, bytes(4097)),
        ("context-too-long", {"k": "v" * (8192 - 8)}, b"hello"),
        ("context-too-long-in-utf8", {"k": "é" * 4092}, b"hello"),
        ("surrogate-in-value", {"k": "\ud800"}, b"hello"),
        ("surrogate-in-key", {"\udfff": "v"}, b"hello"),
    ]
    same = {"material": MATERIAL.hex(), "key_id": KEY_ID, "material_number": 1, "code": "ValidationException"}
    return [{"name": name, "context": context, "plaintext": text.hex(), **same} for name, context, text in cases]


def two_keys() -> list[Vector]:
    """Show one header, ciphertext and tag that are valid under the message keys of two materials."""
    vector = seal(MATERIAL, 1, {}, b"x", "two-keys")
    blob = bytes.fromhex(vector["blob"])
    second = kbkdf(OTHER_MATERIAL, "kmsq/v1/encrypt", blob[22:38] + blob[2:18], 64)[:32]
    body = two_key_ciphertext((bytes.fromhex(vector["message_key"]), second), blob[70:82], blob[:82])
    keys = {"opens_under": MATERIAL.hex(), "refused_under": OTHER_MATERIAL.hex()}
    inner = {"message_keys": [vector["message_key"], second.hex()], "code": "InvalidCiphertextException"}
    return [
        {"name": "two-keys", **keys, **inner, "reason": "commitment", "context": {}, "blob": (blob[:82] + body).hex()}
    ]


def binding(changed: dict[str, Any]) -> dict[str, Any]:
    """Say where wrapped material belongs."""
    return {
        "key_id": KEY_ID,
        "material_number": 1,
        "key_spec": "SYMMETRIC_DEFAULT",
        "origin": "AWS_KMS",
        "purpose": "key-material",
        **changed,
    }


def encode_binding(place: dict[str, Any]) -> bytes:
    """Encode a binding."""
    texts = [place["key_id"], place["key_spec"], place["origin"], place["purpose"]]
    return bytes(place["material_number"].to_bytes(4, "big") + b"".join(len32(text.encode()) for text in texts))


def wrapped() -> list[Vector]:
    """Show a domain key, what it derives and wraps, and where that must not unwrap."""
    key, key_id = fixed("domain key", 32), bytes.fromhex(DOMAIN_KEY_ID.replace("-", ""))
    subkeys = {p: kbkdf(key, f"kmsq/v1/{p}", key_id, 32) for p in ("wrap", "row-mac", "audit", "token", "idempotency")}
    header, iv, place = b"\x01" + key_id, fixed("wrap iv", 12), binding({})
    value = header + iv + AESGCM(subkeys["wrap"]).encrypt(iv, MATERIAL, header + encode_binding(place))
    root = fixed("root key", 32)
    root_id = kbkdf(root, "kmsq/v1/root-key-id", b"", 16)
    root_header = b"\x01" + root_id
    root_cipher = AESGCM(kbkdf(root, "kmsq/v1/root-wrap", root_id, 32))
    elsewhere: list[dict[str, Any]] = [
        {"key_id": OTHER_KEY_ID},
        {"material_number": 2},
        {"key_spec": "HMAC_256"},
        {"origin": "EXTERNAL"},
        {"purpose": "private-key"},
        {"origin": "AWS_KMSk", "purpose": "ey-material"},
    ]
    return [
        {
            "name": "domain-key",
            "root_key": root.hex(),
            "root_key_id": root_id.hex(),
            "domain_key_id": DOMAIN_KEY_ID,
            "domain_key": key.hex(),
            "wrapped_domain_key": (root_header + iv + root_cipher.encrypt(iv, key, root_header + key_id)).hex(),
            "subkeys": {purpose: subkey.hex() for purpose, subkey in subkeys.items()},
            "macs_of": b"kmsq".hex(),
            "macs": {p: hmac.digest(subkeys[p], b"kmsq", "sha256").hex() for p in ("audit", "token", "idempotency")},
            "material": MATERIAL.hex(),
            "material_id": material_id(MATERIAL, KEY_ID),
            "binding": place,
            "encoded_binding": encode_binding(place).hex(),
            "wrapped": value.hex(),
            "refused_bindings": [binding(changed) for changed in elsewhere],
        }
    ]


def rows() -> list[Vector]:
    """Show rows as (column, type, value), their encodings and MACs. Bytes are hex, timestamps microseconds."""
    key_id = bytes.fromhex(DOMAIN_KEY_ID.replace("-", ""))
    subkey = kbkdf(fixed("domain key", 32), "kmsq/v1/row-mac", key_id, 32)
    cases: list[tuple[str, str, list[tuple[str, str, Any]]]] = [
        ("no-columns", "keys", []),
        ("every-type", "keys", [
            ("tags", "L", ["a", "", "bc"]), ("revision", "I", -12), ("key_id", "S", KEY_ID), ("enabled", "B", True),
            ("deleted_at", "N", None), ("created_at", "T", 1767323045678901), ("digest", "X", "00ff"),
        ]),
        ("one-is-not-true", "keys", [("a", "I", 1), ("b", "B", True), ("c", "S", "1"), ("d", "X", "31")]),
        ("empty-is-not-null", "keys", [("a", "S", ""), ("b", "X", ""), ("c", "L", []), ("d", "N", None)]),
    ]  # fmt: skip
    made = []
    for name, table, columns in cases:
        encoded = len32(table.encode())
        for column, kind, value in sorted(columns):
            encoded += len32(column.encode()) + kind.encode() + len32(encode_value(kind, value))
        mac = key_id + hmac.digest(subkey, encoded, "sha256")
        made.append({"name": name, "table": table, "columns": columns, "encoded": encoded.hex(), "mac": mac.hex()})
    return made


def encode_value(kind: str, value: Any) -> bytes:  # a row holds anything
    """Encode one value."""
    simple = {"N": lambda _: b"", "B": lambda v: bytes([v]), "S": str.encode, "X": bytes.fromhex}
    if kind == "L":
        return b"".join(len32(text.encode()) for text in value)
    return simple[kind](value) if kind in simple else str(value).encode()


MAKERS = {
    "blobs": blobs,
    "blobs_refused": blobs_refused,
    "seals_refused": seals_refused,
    "two_keys": two_keys,
    "wrapped": wrapped,
    "rows": rows,
}


def render(name: str) -> str:
    """Return the text of `<name>.json`."""
    return json.dumps(MAKERS[name](), indent=1) + "\n"


if __name__ == "__main__":
    for file_name in MAKERS:
        (FOLDER / f"{file_name}.json").write_text(render(file_name), encoding="ascii")
