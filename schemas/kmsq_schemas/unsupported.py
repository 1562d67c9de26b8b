"""What the API of AWS KMS has and kmsq has not: operations, members and values, each with its reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_NO_KEY_STORES = "custom key stores keep keys in hardware or systems of others; kmsq keeps its own"
_ONE_REGION = "there are no Regions: one database is the source of truth"
_NO_ENCLAVES = "Nitro enclaves are hardware of AWS"
_NO_SERVICES = "service principals are services of AWS; here are principals of the broker alone"
_NO_SM2 = "for the Regions in China; the library `cryptography` does not have it"
_NO_ML_KEM_512 = "the library `cryptography` does not have it; it has ML_KEM_768 and ML_KEM_1024"

UNSUPPORTED_OPERATIONS: Mapping[str, str] = MappingProxyType(
    {
        "ConnectCustomKeyStore": _NO_KEY_STORES,
        "CreateCustomKeyStore": _NO_KEY_STORES,
        "DeleteCustomKeyStore": _NO_KEY_STORES,
        "DescribeCustomKeyStores": _NO_KEY_STORES,
        "DisconnectCustomKeyStore": _NO_KEY_STORES,
        "ReplicateKey": _ONE_REGION,
        "UpdateCustomKeyStore": _NO_KEY_STORES,
        "UpdatePrimaryRegion": _ONE_REGION,
    }
)
"""Reason by name. They have no queue: the broker returns a request for one as unroutable."""


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A member, or some values of one, that a worker answers with `UnsupportedOperationException`."""

    member: str
    """The wire name, after a dot if it is inside a structure; of every request that has it."""
    reason: str
    values: tuple[str, ...] = ()
    """The values as they travel; none named: whatever the value."""


UNSUPPORTED_MEMBERS: tuple[Unsupported, ...] = (
    Unsupported("Recipient", _NO_ENCLAVES),
    Unsupported("CustomKeyStoreId", _NO_KEY_STORES),
    Unsupported("XksKeyId", _NO_KEY_STORES),
    Unsupported("Origin", _NO_KEY_STORES, ("AWS_CLOUDHSM", "EXTERNAL_KEY_STORE")),
    Unsupported("MultiRegion", _ONE_REGION, ("true",)),
    Unsupported("KeySpec", _NO_SM2, ("SM2",)),
    Unsupported("KeySpec", _NO_ML_KEM_512, ("ML_KEM_512",)),
    Unsupported("CustomerMasterKeySpec", _NO_SM2, ("SM2",)),
    Unsupported("KeyPairSpec", _NO_SM2, ("SM2",)),
    Unsupported("KeyPairSpec", _NO_ML_KEM_512, ("ML_KEM_512",)),
    Unsupported("SigningAlgorithm", _NO_SM2, ("SM2DSA",)),
    Unsupported(
        "SigningAlgorithm",
        "the library `cryptography` does not have it; it has ED25519_SHA_512",
        ("ED25519_PH_SHA_512",),
    ),
    Unsupported("EncryptionAlgorithm", _NO_SM2, ("SM2PKE",)),
    Unsupported("SourceEncryptionAlgorithm", _NO_SM2, ("SM2PKE",)),
    Unsupported("DestinationEncryptionAlgorithm", _NO_SM2, ("SM2PKE",)),
    Unsupported("WrappingKeySpec", _NO_SM2, ("SM2",)),
    Unsupported("WrappingAlgorithm", _NO_SM2, ("SM2PKE",)),
    Unsupported(
        "WrappingAlgorithm", "AWS KMS has withdrawn it, too: PKCS #1 v1.5 can leak what it wraps", ("RSAES_PKCS1_V1_5",)
    ),
    Unsupported("GranteeServicePrincipal", _NO_SERVICES),
    Unsupported("RetiringServicePrincipal", _NO_SERVICES),
    Unsupported("Constraints.SourceArn", _NO_SERVICES),
    Unsupported("DryRunModifiers", "a dry run here looks at the ciphertext as the real one would"),
)
