"""What `kmsq doctor` may ask a worker: requests that change nothing, and that no key is used for."""

from collections.abc import Mapping
from types import MappingProxyType

from kmsq_schemas.operations import Operation

_NOBODY = "alias/kmsq-doctor"
_BYTES = b"kmsq-doctor"
_KEY = {"key_id": _NOBODY}
_SIGNED = {**_KEY, "message": _BYTES, "signing_algorithm": "ECDSA_SHA_256", "dry_run": True}
_AUTHENTICATED = {**_KEY, "message": _BYTES, "mac_algorithm": "HMAC_SHA_256", "dry_run": True}
_ENCAPSULATED = {**_KEY, "encapsulation_algorithm": "ML_KEM", "dry_run": True}
_PAIR = {**_KEY, "key_pair_spec": "ECC_NIST_P256", "dry_run": True}
_DATA_KEY = {**_KEY, "number_of_bytes": 1, "dry_run": True}
# A batch has no dry run: its only item cannot succeed, having no bytes, or a context that repeats the shared one.
_REPEATED = {"encryption_context": {"kmsq": "doctor"}, "encryption_contexts": [{"kmsq": "doctor"}]}
_DATA_KEYS = {**_KEY, **_REPEATED, "number_of_bytes": 1, "number_of_keys": 1}

PROBES: Mapping[Operation, Mapping[str, object]] = MappingProxyType(
    {
        Operation.LIST_KEYS: {"limit": 1},
        Operation.LIST_ALIASES: {"limit": 1},
        Operation.GENERATE_RANDOM: {"number_of_bytes": 1},
        Operation.DESCRIBE_KEY: _KEY,
        Operation.ENCRYPT: {**_KEY, "plaintext": b"?", "dry_run": True},
        Operation.GENERATE_DATA_KEY: _DATA_KEY,
        Operation.GENERATE_DATA_KEY_WITHOUT_PLAINTEXT: _DATA_KEY,
        Operation.DECRYPT: {"ciphertext_blob": _BYTES},
        Operation.RE_ENCRYPT: {"ciphertext_blob": _BYTES, "destination_key_id": _NOBODY},
        Operation.GET_ACCOUNT_POLICY: {},
        Operation.GET_KEY_POLICY: _KEY,
        Operation.LIST_KEY_POLICIES: _KEY,
        Operation.LIST_KEY_ROTATIONS: _KEY,
        Operation.GET_KEY_ROTATION_STATUS: _KEY,
        Operation.GET_KEY_LAST_USAGE: _KEY,
        Operation.LIST_RESOURCE_TAGS: _KEY,
        Operation.LIST_GRANTS: _KEY,
        Operation.LIST_RETIRABLE_GRANTS: {"limit": 1, "retiring_principal": "kmsq-doctor"},
        Operation.GET_PUBLIC_KEY: _KEY,
        Operation.VERIFY: {**_SIGNED, "signature": _BYTES},
        Operation.SIGN: _SIGNED,
        Operation.VERIFY_MAC: {**_AUTHENTICATED, "mac": _BYTES},
        Operation.GENERATE_MAC: _AUTHENTICATED,
        Operation.ENCAPSULATE: _ENCAPSULATED,
        Operation.DECAPSULATE: {**_ENCAPSULATED, "shared_secret_ciphertext_blob": _BYTES},
        Operation.DERIVE_SHARED_SECRET: {
            **_KEY,
            "key_agreement_algorithm": "ECDH",
            "public_key": _BYTES,
            "dry_run": True,
        },
        Operation.GENERATE_DATA_KEY_PAIR: _PAIR,
        Operation.GENERATE_DATA_KEY_PAIR_WITHOUT_PLAINTEXT: _PAIR,
        Operation.GET_PARAMETERS_FOR_IMPORT: {
            **_KEY,
            "wrapping_algorithm": "RSAES_OAEP_SHA_256",
            "wrapping_key_spec": "RSA_2048",
        },
        Operation.BATCH_ENCRYPT: {**_KEY, "plaintexts": [b""]},
        Operation.BATCH_DECRYPT: {"ciphertext_blobs": [b""]},
        Operation.BATCH_RE_ENCRYPT: {"ciphertext_blobs": [b""], "destination_key_id": _NOBODY},
        Operation.BATCH_GENERATE_DATA_KEY: _DATA_KEYS,
        Operation.BATCH_GENERATE_DATA_KEY_WITHOUT_PLAINTEXT: _DATA_KEYS,
        Operation.BATCH_GENERATE_MAC: {**_KEY, "messages": [b""], "mac_algorithm": "HMAC_SHA_256"},
    }
)
"""By operation, in the order of preference. Any answer to one shows that a worker is there."""
