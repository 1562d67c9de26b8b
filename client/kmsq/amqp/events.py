"""What may happen to a request under way, and what is then to be done: deciding, apart from doing."""

from dataclasses import dataclass
from typing import TypeAlias, assert_never

from kmsq.errors import ClientClosed, DeadlineExceeded, ExpiredException, KmsqError, NotConnected, ServiceError
from kmsq.retry import RetryPolicy
from kmsq_schemas.models import Reply


@dataclass(frozen=True, slots=True)
class Answered:
    """An authentic reply arrived: a result, or an error."""

    answer: Reply | KmsqError
    skew_moved: bool = False
    """Whether this reply corrected what we think of the workers' clock."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker will not have the request, or returned it."""

    error: KmsqError


@dataclass(frozen=True, slots=True)
class Declined:
    """The broker did not take the request this time (nack)."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The channel or connection that the request, or its reply, depended on is gone."""


@dataclass(frozen=True, slots=True)
class Overdue:
    """The time that the last step gave has passed."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The client is being closed."""


Event: TypeAlias = Answered | Refused | Declined | Interrupted | Overdue | Closed


@dataclass(frozen=True, slots=True)
class Finish:
    """Hand the reply to the caller."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Fail:
    """Raise."""

    error: KmsqError


@dataclass(frozen=True, slots=True)
class Send:
    """Publish the request, as soon as there is a connection, and give the attempt so many seconds."""

    wait_seconds: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds before sending again; a reply may still come meanwhile."""

    wait_seconds: float
    because: ServiceError | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait on."""

    wait_seconds: float


Step: TypeAlias = Finish | Fail | Send | Pause | Wait


@dataclass(slots=True)
class Progress:
    """What has happened to a request so far."""

    in_doubt: bool = False
    """
    Whether the broker has yet to confirm the last publish. Sending again now would put two publishes with one message
    id on a channel, and a return could not be told to belong to which.
    """
    pausing: bool = False
    unanswered: int = 0
    """Attempts that were waited for in vain."""
    failures: int = 0
    """Retryable errors, refusals to take the message, and interruptions."""
    last_error: ServiceError | None = None
    """The retryable error that was answered last."""

    def record(self, event: Event, step: Step) -> None:
        """Take note of `event` and of the `step` that was decided on."""
        match event:
            case Declined() | Interrupted():
                self.in_doubt = False
                self.failures += 1
            case Answered():
                self.failures += 1
            case Overdue() if not self.pausing:
                self.unanswered += 1
        match step:
            case Pause(because=error):
                self.pausing = True
                self.last_error = error or self.last_error
            case Send():
                self.pausing = False


def decide(event: Event, progress: Progress, policy: RetryPolicy, *, chance: float, remaining_seconds: float) -> Step:
    """Say what to do after `event`, `remaining_seconds` before the deadline; `chance` is drawn from [0, 1)."""
    match event:
        case Answered():
            return _after_answer(event, progress, policy, chance=chance, remaining_seconds=remaining_seconds)
        case Refused(error):
            return Fail(error)
        case Declined():
            return Pause(policy.backoff(progress.failures, chance))
        case Interrupted():
            # The first time at once; when it goes on, something is wrong that more haste would make worse.
            return Pause(policy.backoff(progress.failures, chance) if progress.failures else 0.0)
        case Overdue():
            return _after_waiting(progress, policy)
        case Closed():
            return Fail(ClientClosed("the client was closed before the reply came"))
    assert_never(event)


def _after_answer(
    event: Answered, progress: Progress, policy: RetryPolicy, *, chance: float, remaining_seconds: float
) -> Step:
    match event.answer:
        case Reply() as reply:
            return Finish(reply)
        case ExpiredException() if event.skew_moved:
            # Our clock is behind: the deadline was over before it was written. The next one will be right.
            return Pause(policy.backoff(progress.failures, chance))
        case ServiceError(is_retryable=True) as error:
            pause = policy.backoff(progress.failures, chance)
            return Pause(pause, because=error) if pause < remaining_seconds else Fail(error)
        case error:
            return Fail(error)


def _after_waiting(progress: Progress, policy: RetryPolicy) -> Step:
    if progress.in_doubt:
        return Wait(policy.backoff_seconds if progress.pausing else policy.attempt_timeout_seconds)
    return Send(policy.attempt_timeout(progress.unanswered + (not progress.pausing)))


def explain_deadline(progress: Progress, *, what: str, timeout_seconds: float, problem: KmsqError | None) -> KmsqError:
    """Say why the deadline passed; `problem` is what keeps us from a connection, if there is none."""
    seconds = f"{timeout_seconds:g} s"
    if progress.last_error is not None:
        return progress.last_error
    if problem is not None:
        return NotConnected(f"{what} was not answered within {seconds}, because there is no connection: {problem}")
    if progress.in_doubt:
        return DeadlineExceeded(
            f"the broker did not confirm {what} within {seconds}: does a memory or disk alarm block publishers?"
        )
    return DeadlineExceeded(f"no worker answered {what} within {seconds}: are workers running?")
