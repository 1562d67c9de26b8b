"""What `kmsq doctor` looks at, in the order in which things depend on each other."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version

from kmsq.amqp.address import Address
from kmsq.amqp.answers import Doubt
from kmsq.amqp.examine import Examination, examine, names
from kmsq.amqp.refusals import DECLARE_ADVICE
from kmsq.amqp.transport import AmqpTransport, amqp_transport
from kmsq.cli.probes import PROBES
from kmsq.cli.session import CONNECT_SECONDS, LOCAL_ERROR, SERVICE_ERROR, Settings
from kmsq.errors import KmsqError, ServiceError
from kmsq.operations.base import make_request
from kmsq.retry import RetryPolicy
from kmsq_schemas.content import ContentType
from kmsq_schemas.errors import RETRYABLE, ErrorCode
from kmsq_schemas.message import PROTOCOL_VERSION
from kmsq_schemas.operations import Operation

CLOCK_TOLERANCE_MS = 5_000  # what the client cannot correct is the first request of a connection

_TROUBLE = RETRYABLE | {ErrorCode.EXPIRED, ErrorCode.UNSUPPORTED_VERSION}
"""Answers that a healthy service does not give; all others (no such key, not allowed) are as good as a result."""


@dataclass(frozen=True, slots=True)
class Check:
    """One finding."""

    name: str
    finding: str
    ok: bool | None = True
    """None: it could not be looked at, or does not matter."""
    advice: str = ""
    exit_code: int = LOCAL_ERROR
    """What it means for the command when it is not ok."""


async def check_up(settings: Settings, address: Address) -> list[Check]:
    """Look at everything, as far as it goes."""
    checks = [Check("client", f"kmsq {version('kmsq')}, message contract {PROTOCOL_VERSION}")]
    try:
        found = await examine(address)
    except KmsqError as error:
        return [*checks, Check("broker", str(error), ok=False, advice="Check KMSQ_AMQP_URL, and whether it runs.")]
    checks += _broker(found, address)
    if all(check.ok is not False for check in checks):
        checks += await _worker(settings, address, found)
    return checks


def _broker(found: Examination, address: Address) -> Iterator[Check]:
    yield Check("broker", f"{found.broker} at {address}, logged in as {address.principal}")
    if found.missing:
        missing = ", ".join(found.missing)
        yield Check(
            "topology", f"missing: {missing}", ok=False, advice=f"{DECLARE_ADVICE[0].upper()}{DECLARE_ADVICE[1:]}."
        )
    else:
        yield Check("topology", "the exchanges are there")
        problem = found.reply_queue_problem
        yield Check(
            "reply queue", "can be declared, bound and read" if problem is None else str(problem), problem is None
        )
    if found.allowed:
        yield Check("may send", names(found.allowed))
    elif not found.missing:
        advice = f"See `kmsq-worker topology permissions --producer {address.principal}`."
        yield Check("may send", "nothing", ok=False, advice=advice)
    if found.forbidden:
        yield Check("may not send", names(found.forbidden), ok=None)


async def _worker(settings: Settings, address: Address, found: Examination) -> list[Check]:
    operation = next((probe for probe in PROBES if probe in found.allowed), None)
    if operation is None:
        return [Check("worker", "not asked: this user may only send changes", ok=None)]
    try:
        async with amqp_transport(
            address,
            content_type=ContentType.JSON,
            connect_timeout_seconds=CONNECT_SECONDS,
            worker_user=settings.worker_user,
            retry=RetryPolicy(),
        ) as transport:
            return await _ask(transport, operation, settings)
    except KmsqError as error:
        return [Check("worker", str(error), ok=False)]


async def _ask(transport: AmqpTransport, operation: Operation, settings: Settings) -> list[Check]:
    milliseconds, answer = 0.0, ""
    for _ in range(2):  # the first opens a channel
        started = time.perf_counter()
        try:
            await transport.call(
                operation, make_request(operation, PROBES[operation]), timeout_seconds=settings.timeout_seconds
            )
            answer = "success"
        except ServiceError as error:
            if error.code in _TROUBLE:
                return [Check("worker", f"answered {operation.value} with {error}", ok=False, exit_code=SERVICE_ERROR)]
            answer = error.code
        except KmsqError as error:
            return [_no_answer(transport, error, settings)]
        milliseconds = (time.perf_counter() - started) * 1000
    finding = f"answered {operation.value} ({answer}) in {milliseconds:.1f} ms"
    return [Check("worker", finding), _clock(transport.skew.milliseconds)]


def _no_answer(transport: AmqpTransport, error: KmsqError, settings: Settings) -> Check:
    if transport.dropped[Doubt.FOREIGN]:
        finding = f"replies came, but not from {settings.worker_user}"
        return Check("worker", finding, ok=False, advice="Name the workers' broker user with --worker-user.")
    return Check("worker", str(error), ok=False, advice="Start `kmsq-worker run`, or look at its /readyz.")


def _clock(skew_ms: int) -> Check:
    finding = f"the workers' is {abs(skew_ms)} ms {'ahead' if skew_ms >= 0 else 'behind'}"
    if abs(skew_ms) <= CLOCK_TOLERANCE_MS:
        return Check("clock", finding)
    return Check("clock", finding, ok=False, advice="Synchronise the clocks (NTP): deadlines are compared with them.")
