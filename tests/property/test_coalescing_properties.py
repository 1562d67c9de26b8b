"""Whatever is called, answered and cancelled in whatever order: every caller has its own answer, in fair order."""

import asyncio
from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from fakes.held import Held, HeldTransport, blob, coalescer_over, start, turns
from kmsq.coalescing.contexts import shared_or_own
from kmsq.coalescing.group import MESSAGES_MAX
from kmsq.coalescing.kinds import KINDS
from kmsq_schemas import codec, limits
from kmsq_schemas.content import ContentType
from kmsq_schemas.models import EncryptReply, EncryptRequest, Reply

KEYS = ("alias/a", "alias/b")
CONTEXTS = st.none() | st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("call"), st.integers(0, len(KEYS) - 1)),
        st.tuples(st.just("answer"), st.integers(0, 9)),
        st.tuples(st.just("cancel"), st.integers(0, 99)),
        st.tuples(st.just("turn"), st.just(0)),
    ),
    max_size=60,
)


class Story:
    """One run: calls are numbered in their order, and their number is their plaintext."""

    def __init__(self) -> None:
        self.inner = HeldTransport()
        self.calls: list[asyncio.Task[Reply]] = []

    @property
    def under_way(self) -> list[Held]:
        """What is sent and not answered."""
        return [held for held in self.inner.sent if not (held.outcome.done() or held.cancelled)]

    async def run(self, steps: list[tuple[str, int]]) -> None:
        """Do as the steps say, then answer whatever is left."""
        async with coalescer_over(self.inner) as coalescer:
            for what, number in steps:
                if what == "call":
                    self.calls += start(coalescer, b"%d" % len(self.calls), key_id=KEYS[number])
                    await asyncio.sleep(0)
                elif what == "answer" and self.under_way:
                    self.under_way[number % len(self.under_way)].answer()
                elif what == "cancel" and self.calls:
                    self.calls[number % len(self.calls)].cancel()
                else:
                    await turns()
                self.check_places()
            while not all(call.done() for call in self.calls):
                self.inner.answer_all()
                await turns()
                self.check_places()

    def check_places(self) -> None:
        """Of each group, few messages are under way."""
        counts: defaultdict[str, int] = defaultdict(int)
        for held in self.under_way:
            counts[held.request.key_id] += 1
        assert all(count <= MESSAGES_MAX for count in counts.values())

    def check_outcomes(self) -> None:
        """Whoever has not left has its own answer."""
        for number, call in enumerate(self.calls):
            if not call.cancelled():
                reply = call.result()
                assert isinstance(reply, EncryptReply)
                assert reply.ciphertext_blob == blob(b"%d" % number)

    def check_order(self) -> None:
        """Everybody left once, and through batches who came first left first."""
        # One that is told to go by itself goes at its task's next step, and a newcomer that finds another place free
        # may be a step ahead of it: between messages that leave in one moment there is no order.
        left: defaultdict[str, list[int]] = defaultdict(list)
        batches: defaultdict[str, list[int]] = defaultdict(list)
        for held in self.inner.sent:
            key_id, is_single = held.request.key_id, isinstance(held.request, EncryptRequest)
            numbers = list(map(int, [held.request.plaintext] if is_single else held.request.plaintexts))
            left[key_id] += numbers
            batches[key_id] += [] if is_single else numbers
        assert all(len(numbers) == len(set(numbers)) for numbers in left.values())
        assert all(numbers == sorted(numbers) for numbers in batches.values())


@given(STEPS)
def test_every_caller_has_its_own_answer_in_fair_order(steps: list[tuple[str, int]]) -> None:
    story = Story()
    asyncio.run(story.run(steps))
    story.check_outcomes()
    story.check_order()


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=300), CONTEXTS), min_size=1, max_size=20))
def test_a_batch_is_no_longer_than_was_counted(items: list[tuple[bytes, dict[str, str] | None]]) -> None:
    kind = KINDS[EncryptRequest]
    requests = [
        EncryptRequest(key_id="k", plaintext=plaintext, encryption_context=context) for plaintext, context in items
    ]
    body = codec.encode(kind.join(requests), ContentType.CBOR)
    names = 100  # of the members, and the key
    assert len(body) <= names + sum(map(kind.item_max_bytes, requests))
    assert sum(map(kind.item_max_bytes, requests)) < limits.MESSAGE_MAX_BYTES


@given(st.lists(CONTEXTS, min_size=1, max_size=5))
def test_every_call_keeps_its_context(contexts: list[dict[str, str] | None]) -> None:
    shared, own = shared_or_own(contexts)
    assert (own or [shared] * len(contexts)) == contexts
    assert shared is None or own is None
