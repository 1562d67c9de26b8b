"""What grants on a key can allow: what the key can do at all. A table, and one check against it."""

from collections.abc import Mapping
from typing import Final

from kmsq_schemas.models.enums import GrantOperation, KeySpec, KeyUsage
from kmsq_worker.custody import Key
from kmsq_worker.errors import ValidationException
from kmsq_worker.keyspecs import is_asymmetric
from kmsq_worker.policy.grants import Grant

BY_USAGE: Final[Mapping[KeyUsage, frozenset[GrantOperation]]] = {
    KeyUsage.ENCRYPT_DECRYPT: frozenset(
        {
            GrantOperation.ENCRYPT,
            GrantOperation.DECRYPT,
            GrantOperation.RE_ENCRYPT_FROM,
            GrantOperation.RE_ENCRYPT_TO,
        }
    ),
    KeyUsage.SIGN_VERIFY: frozenset({GrantOperation.SIGN, GrantOperation.VERIFY}),
    KeyUsage.GENERATE_VERIFY_MAC: frozenset({GrantOperation.GENERATE_MAC, GrantOperation.VERIFY_MAC}),
    KeyUsage.KEY_AGREEMENT: frozenset({GrantOperation.DERIVE_SHARED_SECRET}),
    KeyUsage.ENCAPSULATE_DECAPSULATE: frozenset({GrantOperation.ENCAPSULATE, GrantOperation.DECAPSULATE}),
}
SYMMETRIC: Final = frozenset(
    {
        GrantOperation.GENERATE_DATA_KEY,
        GrantOperation.GENERATE_DATA_KEY_WITHOUT_PLAINTEXT,
        GrantOperation.GENERATE_DATA_KEY_PAIR,
        GrantOperation.GENERATE_DATA_KEY_PAIR_WITHOUT_PLAINTEXT,
    }
)
ASYMMETRIC: Final = frozenset({GrantOperation.GET_PUBLIC_KEY})
ALWAYS: Final = frozenset({GrantOperation.CREATE_GRANT, GrantOperation.DESCRIBE_KEY, GrantOperation.RETIRE_GRANT})


def grantable(spec: KeySpec, usage: KeyUsage) -> frozenset[GrantOperation]:
    """Return the operations that a grant on a key of this `spec` and `usage` can allow."""
    operations = ALWAYS | BY_USAGE[usage]
    if spec is KeySpec.SYMMETRIC_DEFAULT:
        return operations | SYMMETRIC
    return operations | ASYMMETRIC if is_asymmetric(spec) else operations


def require_grantable(key: Key, grant: Grant) -> None:
    """
    Raise `ValidationException` for a grant of operations that the key cannot do.

    Likewise for constraints on the encryption context of a key whose operations have none.
    """
    spec, usage = KeySpec(key.row.key_spec), KeyUsage(key.row.key_usage)
    if others := grant.operations - grantable(spec, usage):
        message = f"{key.arn} has key spec {spec} and usage {usage}: a grant cannot allow {', '.join(sorted(others))}."
        raise ValidationException(message)
    is_constrained = grant.equals is not None or grant.subset is not None
    if is_constrained and spec is not KeySpec.SYMMETRIC_DEFAULT:
        message = f"{key.arn} has key spec {spec}: a grant cannot have constraints on an encryption context."
        raise ValidationException(message)
