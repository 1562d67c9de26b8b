"""A request on its way through a turn or a change, and the turn that carries it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import assert_never

from kmsq_schemas.models import Reply
from kmsq_worker import audit
from kmsq_worker.decode import Caller, Parsed
from kmsq_worker.errors import ExpiredException, KeyUnavailableException, KmsError, Refused
from kmsq_worker.execution import Touched
from kmsq_worker.ports import Delivery
from kmsq_worker.view import Wanted

SUCCESS = "Success"
REFUSED = "Refused"
UNPROVEN_MAX_CHARS = 64  # of what an unproven sender called itself, in the audit record

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Replayed:
    """The stored outcome of a change, sent again as it was."""

    type: str
    body: bytes = field(repr=False)


Outcome = Reply | KmsError | Refused | Replayed


@dataclass(slots=True)
class Item:
    """One request. `caller` and `parsed` are None until they are proven and validated."""

    delivery: Delivery
    caller: Caller | None = None
    parsed: Parsed | None = None
    wanted: Sequence[Wanted] = ()
    touched: Touched = field(default_factory=Touched)
    outcome: Outcome | None = None
    is_executable: bool = False
    """Decoded without an error: it is executed, and executed again if its turn proves to be out of date."""

    @property
    def outcome_name(self) -> str:
        """
        What audit records and metrics call it.

        `Success`, an error code, `Refused`, or `Replayed` followed by a reply's type.
        """
        match self.outcome:
            case KmsError():
                return self.outcome.code.value
            case Replayed():
                return f"Replayed{self.outcome.type}"
            case Refused():
                return REFUSED
            case Reply():
                return SUCCESS
            case None:
                raise RuntimeError("no outcome")
        assert_never(self.outcome)

    @property
    def operation_name(self) -> str:
        """The operation, or `Unknown`: what an unproven sender wrote is no metric label."""
        return "Unknown" if self.caller is None else self.caller.operation.value

    def require_request(self) -> tuple[Caller, Parsed]:
        """Return caller and request of an item that was decoded."""
        if self.caller is None or self.parsed is None:
            raise RuntimeError("not decoded")
        return self.caller, self.parsed

    def record(self, **facts: object) -> bytes:
        """Encode the item's audit record; `facts` are what turn or change add: epoch, turn, and so on."""
        delivery = self.delivery
        entry: dict[str, object] = {**facts}
        if self.caller is None:
            entry["claimed"] = ascii((delivery.user_id or "")[:UNPROVEN_MAX_CHARS])
            entry["routing_key"] = ascii(delivery.routing_key[: 2 * UNPROVEN_MAX_CHARS])
        else:
            entry["principal"] = self.caller.principal
            entry["actor"] = None  # reserved for gateways that act on behalf of somebody
            entry["operation"] = self.caller.operation.value
        entry["message_id"] = (delivery.message_id or "")[:UNPROVEN_MAX_CHARS]
        entry["outcome"] = self.outcome_name
        if isinstance(self.outcome, KmsError | Refused) and self.outcome.reason:
            entry["reason"] = self.outcome.reason
        entry |= self.touched.facts()
        entry["count"] = self.touched.count
        return audit.encode_record(entry)


@dataclass(slots=True)
class Turn:
    """Requests that share a commit."""

    number: int
    items: Sequence[Item]
    epoch: int = 0
    committed_at: datetime | None = None

    @property
    def server_time(self) -> int:
        """The database's clock at the commit, in Unix milliseconds."""
        if self.committed_at is None:
            raise RuntimeError("not committed")
        return int(self.committed_at.timestamp() * 1000)

    @property
    def subjects(self) -> Sequence[str]:
        """Everything that the turn's outcomes rest on."""
        return list(set().union(*(item.touched.subjects for item in self.items)))

    @property
    def deadline(self) -> datetime | None:
        """The earliest deadline of a result that would be wrong to commit after it."""
        deadlines = [
            item.parsed.deadline
            for item in self.items
            if item.parsed is not None
            and item.parsed.deadline is not None
            and not isinstance(item.outcome, ExpiredException)
        ]
        return _moment(min(deadlines)) if deadlines else None

    def records(self) -> Sequence[bytes]:
        """Encode the audit records."""
        return [item.record(epoch=self.epoch, turn=self.number) for item in self.items]

    def affected(self, changed: Collection[str]) -> Sequence[Item]:
        """Return the items that rest on something that changed."""
        return [item for item in self.items if not item.touched.subjects.isdisjoint(changed)]

    def give_up(self, changed: Collection[str]) -> None:
        """Answer what rests on something that changes without end; the answer itself rests on nothing."""
        for item in self.affected(changed):
            message = "What this request rests on is changing all the time; send it again later."
            item.outcome = KeyUnavailableException(message, reason="changing")
            item.touched.subjects.clear()

    def expire(self, now: datetime) -> None:
        """Replace every result whose deadline has passed: it will not be given out."""
        for item in self.items:
            if item.parsed is None or item.parsed.deadline is None:
                continue
            if _moment(item.parsed.deadline) < now:
                item.outcome = expired()


def _moment(deadline: int) -> datetime:
    """Return the deadline as the database gets it: exactly, so that both call the same requests late."""
    return _EPOCH + timedelta(milliseconds=deadline)


def expired() -> ExpiredException:
    """Make the answer to a request that was too late."""
    return ExpiredException("The deadline has passed; compare your clock with server_time.")


def lost_record(item: Item, why: str, facts: Mapping[str, object]) -> bytes:
    """Encode that an audited outcome did not reach anybody."""
    return audit.encode_record(
        {
            **facts,
            "event": why,
            "principal": None if item.caller is None else item.caller.principal,
            "operation": item.operation_name,
            "message_id": item.delivery.message_id,
        },
    )
