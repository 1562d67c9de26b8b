"""Deciding what becomes of a request, apart from doing it."""

import pytest

from kmsq.amqp.events import (
    Answered,
    Closed,
    Declined,
    Event,
    Fail,
    Finish,
    Interrupted,
    Overdue,
    Pause,
    Progress,
    Refused,
    Send,
    Step,
    Wait,
    decide,
    explain_deadline,
)
from kmsq.errors import (
    ClientClosed,
    DeadlineExceeded,
    ExpiredException,
    InvalidReply,
    NotConnected,
    NotFoundException,
    ThrottlingException,
    TopologyMissing,
)
from kmsq.retry import RetryPolicy
from kmsq_schemas.models import CreateAliasReply

POLICY = RetryPolicy(attempt_timeout_seconds=5, attempt_growth=2, backoff_seconds=0.1, backoff_max_seconds=1)


def after(event: Event, progress: Progress, *, remaining_seconds: float = 30) -> Step:
    """Decide and record, as the transport does."""
    step = decide(event, progress, POLICY, chance=0.5, remaining_seconds=remaining_seconds)
    progress.record(event, step)
    return step


def test_a_reply_finishes_the_call() -> None:
    reply = CreateAliasReply()
    assert after(Answered(reply), Progress()) == Finish(reply)


@pytest.mark.parametrize(
    "event",
    [
        Answered(NotFoundException()),
        Answered(InvalidReply()),
        Answered(ExpiredException()),
        Refused(TopologyMissing()),
        Closed(),
    ],
)
def test_final_events_fail_the_call(event: Event) -> None:
    step = after(event, Progress())
    assert isinstance(step, Fail)
    if isinstance(event, Closed):
        assert isinstance(step.error, ClientClosed)


def test_a_retryable_error_is_retried_with_growing_pauses_and_kept_for_the_end() -> None:
    progress, error = Progress(), ThrottlingException()
    pauses = []
    for _ in range(6):
        step = after(Answered(error), progress)
        assert isinstance(step, Pause)
        pauses.append(step.wait_seconds)
        assert after(Overdue(), progress) == Send(5)
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.5, 0.5]
    assert explain_deadline(progress, what="Encrypt", timeout_seconds=1, problem=None) is error


def test_a_retryable_error_that_leaves_no_time_is_final() -> None:
    assert isinstance(after(Answered(ThrottlingException()), Progress(), remaining_seconds=0.01), Fail)


def test_a_deadline_missed_for_a_wrong_clock_is_tried_again() -> None:
    assert isinstance(after(Answered(ExpiredException(), skew_moved=True), Progress()), Pause)


def test_unanswered_attempts_are_given_longer_and_longer() -> None:
    progress = Progress()
    assert [after(Overdue(), progress) for _ in range(3)] == [Send(10), Send(20), Send(40)]


def test_an_unconfirmed_publish_is_waited_for_instead_of_repeated() -> None:
    progress = Progress(in_doubt=True)
    assert after(Overdue(), progress) == Wait(5)
    progress.in_doubt = False
    assert isinstance(after(Overdue(), progress), Send)


def test_a_retry_waits_for_the_confirm_of_the_publish_before_it() -> None:
    progress = Progress(in_doubt=True)
    assert isinstance(after(Answered(ThrottlingException()), progress), Pause)
    assert after(Overdue(), progress) == Wait(0.1)
    progress.in_doubt = False
    assert after(Overdue(), progress) == Send(5)


def test_the_first_interruption_is_repaired_at_once_and_later_ones_with_pauses() -> None:
    progress = Progress(in_doubt=True)
    assert after(Interrupted(), progress) == Pause(0)
    assert after(Overdue(), progress) == Send(5)
    assert after(Interrupted(), progress) == Pause(0.1)


def test_a_declined_message_is_sent_again_after_a_pause() -> None:
    progress = Progress(in_doubt=True)
    assert after(Declined(), progress) == Pause(0.05)
    assert after(Overdue(), progress) == Send(5)


def test_a_passed_deadline_names_its_reason() -> None:
    def explained(progress: Progress, problem: NotConnected | None = None) -> Exception:
        return explain_deadline(progress, what="Encrypt", timeout_seconds=30, problem=problem)

    nobody = explained(Progress())
    assert isinstance(nobody, DeadlineExceeded)
    assert str(nobody) == "no worker answered Encrypt within 30 s: are workers running?"
    blocked = explained(Progress(in_doubt=True))
    assert isinstance(blocked, DeadlineExceeded)
    assert "alarm" in str(blocked)
    away = explained(Progress(), NotConnected("refused"))
    assert isinstance(away, NotConnected)
    assert "refused" in str(away)
