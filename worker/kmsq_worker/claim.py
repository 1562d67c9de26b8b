"""
What makes two deliveries the same change, and the stored outcome of the first for the second.

Both are keyed: the digest, because an unkeyed one would let short requests be guessed, and the outcome's seal, because
whoever can write to the database must not be able to answer in this service's name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from kmsq_worker.custody import Custody, Tampered
from kmsq_worker.decode import Caller, Parsed
from kmsq_worker.errors import IdempotencyMismatchException, KMSInternalException
from kmsq_worker.item import Item, Replayed
from kmsq_worker.store.changes import StoredOutcome

CLAIM_OUTLIVES_DEADLINE = timedelta(days=7)  # DESIGN.md §3

_OUTCOME = b"\x01"  # a request's digest covers text first: the two never cover the same bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """`(principal, message_id)`, and the digest of the request that claimed it first."""

    principal: str
    message_id: UUID
    digest: bytes
    request: bytes
    expires_at: datetime

    def __repr__(self) -> str:
        """Name the claim; never the request."""
        return f"<Claim {self.principal} {self.message_id}>"

    @classmethod
    def of(cls, item: Item, caller: Caller, parsed: Parsed, custody: Custody) -> "Claim":
        """Build the claim: operation, encoding and body decide, `reply_to` does not (DESIGN.md §5)."""
        if parsed.deadline is None or item.delivery.message_id is None:
            raise RuntimeError("parse lets no change pass without these")
        request = b"\x00".join((caller.operation.encode(), parsed.content_type.encode(), item.delivery.body))
        return cls(
            principal=caller.principal,
            message_id=UUID(item.delivery.message_id),
            digest=custody.digest(request),
            request=request,
            expires_at=datetime.fromtimestamp(parsed.deadline / 1000, UTC) + CLAIM_OUTLIVES_DEADLINE,
        )

    def seal(self, custody: Custody, reply_type: str, reply_body: bytes) -> StoredOutcome:
        """Return the outcome as it is stored."""
        seal = custody.digest(self._sealed(self.digest, reply_type, reply_body))
        return StoredOutcome(self.digest, reply_type, reply_body, seal)

    def answer(
        self, stored: StoredOutcome, custody: Custody, alarm: Callable[[Tampered], None]
    ) -> Replayed | IdempotencyMismatchException | KMSInternalException:
        """Answer a request whose id was claimed before."""
        if not custody.is_digest(stored.seal, self._sealed(stored.digest, stored.reply_type, stored.reply_body)):
            alarm(Tampered(f"claim:{self.principal}:{self.message_id}", "seal"))
            return KMSInternalException("The stored outcome failed its integrity check.", reason="tampered")
        if not custody.is_digest(stored.digest, self.request):
            return IdempotencyMismatchException("This message_id was used for another request.")
        return Replayed(stored.reply_type, stored.reply_body)

    def _sealed(self, digest: bytes, reply_type: str, reply_body: bytes) -> bytes:
        names = f"{self.principal}\x00{self.message_id}\x00{reply_type}\x00".encode()
        return _OUTCOME + digest + names + reply_body
