"""Acknowledging many deliveries with one frame, against what a broker does with the frames."""

from hypothesis import given
from hypothesis import strategies as st

from kmsq_worker.unsettled import Unsettled


@given(data=st.data(), count=st.integers(1, 40))
def test_each_delivery_is_acknowledged_once_when_it_is_settled_and_never_before(
    data: st.DataObject, count: int
) -> None:
    unsettled, delivered = Unsettled(), 0
    open_at_the_broker: set[int] = set()
    open_here: set[int] = set()
    while open_here or delivered < count:
        for _ in range(
            data.draw(st.integers(0 if open_here else 1, count), label="delivered") if delivered < count else 0
        ):
            delivered += 1
            unsettled.add(delivered)
            open_at_the_broker.add(delivered)
            open_here.add(delivered)
        settled = data.draw(st.sets(st.sampled_from(sorted(open_here)), min_size=1), label="settled")
        acks = unsettled.settle(data.draw(st.permutations(sorted(settled)), label="in the order"))
        assert len(acks) <= len(settled)
        for ack in acks:
            ended = {tag for tag in open_at_the_broker if tag <= ack.tag} if ack.multiple else {ack.tag}
            assert ended, "a broker closes the channel: unknown delivery tag"
            assert ended <= open_at_the_broker
            assert ended <= settled, "acknowledged before it was answered"
            open_at_the_broker -= ended
        open_here -= settled
        assert open_at_the_broker == open_here


@given(count=st.integers(1, 300))
def test_a_turn_without_gaps_is_acknowledged_with_one_frame(count: int) -> None:
    unsettled = Unsettled()
    for tag in range(1, count + 1):
        unsettled.add(tag)
    assert [(ack.tag, ack.multiple) for ack in unsettled.settle(range(1, count + 1))] == [(count, count > 1)]


def test_nothing_is_acknowledged_for_nothing() -> None:
    assert list(Unsettled().settle([])) == []
