"""The grants of one key. A key's row holds a digest of their MACs: they are believed all together or not at all."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from kmsq_worker.policy.grants import Grant
from kmsq_worker.store.rows import GrantRow

EQUALS: Final = "EncryptionContextEquals"
SUBSET: Final = "EncryptionContextSubset"


class Granted:
    """The grants of a key, which were verified, at hand by who got them."""

    __slots__ = ("_by_grantee", "rows")

    def __init__(self, rows: Sequence[GrantRow] = ()) -> None:
        self.rows: Final = {row.grant_id: row for row in sorted(rows, key=lambda row: row.grant_id)}
        self._by_grantee: Final[dict[str, list[Grant]]] = {}
        for row in self.rows.values():
            self._by_grantee.setdefault(row.grantee_principal, []).append(as_grant(row))

    def __len__(self) -> int:
        """Count the grants."""
        return len(self.rows)

    def of(self, principal: str) -> Sequence[Grant]:
        """Return what `principal`, an ARN, was granted."""
        return self._by_grantee.get(principal, ())


NO_GRANTS: Final = Granted()


def digest(rows: Iterable[GrantRow]) -> bytes:
    """
    Return what the row of a key with these grants must hold: nothing for none, else 32 bytes.

    SHA-256 of their MACs in the order of their ids. Nothing else of the rows is looked at: nobody has verified them yet.
    """
    macs = [row.mac for row in sorted(rows, key=lambda row: row.grant_id)]
    return hashlib.sha256(b"".join(macs)).digest() if macs else b""


def as_grant(row: GrantRow) -> Grant:
    """Return a grant as policies see it."""
    constraints: Mapping[str, Mapping[str, str]] = json.loads(row.constraints)
    return Grant(
        grant_id=row.grant_id,
        key_id=row.key_id,
        grantee=row.grantee_principal,
        retiring=row.retiring_principal,
        operations=frozenset(row.operations),
        equals=constraints.get(EQUALS),
        subset=constraints.get(SUBSET),
    )
