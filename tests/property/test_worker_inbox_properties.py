"""The inbox against a model: nothing is lost or taken twice, and everybody's turn comes."""

from collections import deque
from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fakes.deliveries import bare
from kmsq_worker.inbox import SUSPECT_FROM_ATTEMPT, Inbox
from kmsq_worker.ports import Delivery

CAP = 3


def taken_now(inbox: Inbox, limit: int) -> Sequence[Delivery]:
    """Take without an event loop: what is there is there at once."""
    try:
        inbox.take(limit).send(None)
    except StopIteration as stop:
        taken: Sequence[Delivery] = stop.value
        return taken
    message = "it waited although something was there"
    raise AssertionError(message)


class InboxModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.inbox = Inbox(principal_max=CAP)
        self.waiting: dict[str, deque[int]] = {}
        self.excess: deque[int] = deque()
        self.suspects: deque[int] = deque()
        self.overtaken: dict[str, set[str]] = {}
        """Of each waiting principal: who was served since it was its turn."""
        self.excess_passed = self.suspects_passed = self.others_passed = 0

    @property
    def is_empty(self) -> bool:
        return not (self.excess or self.suspects or any(self.waiting.values()))

    @rule(principal=st.sampled_from("abcd"), count=st.integers(1, 5))
    def requests_arrive(self, principal: str, count: int) -> None:
        for _ in range(count):
            sent = bare(principal=principal)
            self.inbox.put(sent)
            queue = self.waiting.setdefault(principal, deque())
            if len(queue) < CAP:
                if not queue:
                    self.overtaken[principal] = set()
                queue.append(sent.tag)
            else:
                self.excess.append(sent.tag)

    @rule(principal=st.sampled_from("ab"), attempt=st.integers(SUSPECT_FROM_ATTEMPT, 20))
    def a_suspect_arrives(self, principal: str, attempt: int) -> None:
        sent = bare(principal=principal, attempt=attempt)
        self.inbox.put(sent)
        self.suspects.append(sent.tag)

    @precondition(lambda self: not self.is_empty)
    @rule(limit=st.integers(1, 6))
    def a_turn_is_taken(self, limit: int) -> None:
        room = min(limit, len(self.excess) + sum(map(len, self.waiting.values())))
        taken = taken_now(self.inbox, limit)
        if any(one.attempt >= SUSPECT_FROM_ATTEMPT for one in taken):
            assert [one.tag for one in taken] == [self.suspects.popleft()]
            self.suspects_passed = 0
            self.others_passed += bool(room)
        else:
            assert len(taken) == room
            self.suspects_passed += bool(self.suspects)
            self.others_passed = 0
            for one in taken:
                self.is_served(one)
        assert self.suspects_passed <= 1
        assert self.others_passed <= 1

    def is_served(self, one: Delivery) -> None:
        principal = one.user_id or ""
        if one.throttled:
            assert one.tag == self.excess.popleft()
            self.excess_passed = 0
            return
        self.excess_passed += bool(self.excess)
        assert self.excess_passed <= 1, "the throttled are answered next"
        assert one.tag == self.waiting[principal].popleft()
        for other, served in self.overtaken.items():
            if other != principal and self.waiting.get(other):
                assert principal not in served, f"{principal} was served twice while {other} waited"
                served.add(principal)
        self.overtaken[principal] = set()

    @invariant()
    def nothing_is_left_when_the_model_is_empty(self) -> None:
        if self.is_empty:
            inbox = self.inbox
            assert not inbox._waiting
            assert not inbox._excess
            assert not inbox._suspects

    def teardown(self) -> None:
        self.inbox.close()
        while not self.is_empty:
            self.a_turn_is_taken(4)
        assert list(taken_now(self.inbox, 4)) == []


TestInbox = InboxModel.TestCase
