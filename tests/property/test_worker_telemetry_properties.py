"""Whatever is logged, by whomever and however: what is not on the allow-list does not come out."""

import io
import json
import logging
from typing import Any, NoReturn

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kmsq_worker.settings import REDACTED, _redact
from kmsq_worker.telemetry import LOG_FIELDS, LOGGER, JsonFormatter, describe

CANARY = "canary-2718281828"
AROUND = st.text(max_size=20)
SECRETS = st.builds(lambda before, after: before + CANARY + after, AROUND, AROUND)
PLACES = st.sampled_from(["argument", "mapping", "exception", "cause", "context", "group", "extra", "note", "stack"])
LOGGERS = st.sampled_from([LOGGER.name, f"{LOGGER.name}.turn", "aiormq", "asyncio", "somebody"])


def fail(kind: str, secret: str) -> NoReturn:
    """Raise an exception that holds the secret somewhere."""
    match kind:
        case "cause":
            raise KeyError("harmless") from ValueError(secret)
        case "context":
            try:
                fail("exception", secret)
            finally:
                raise KeyError("harmless")
        case "group":
            raise ExceptionGroup(secret, [ValueError(secret), ExceptionGroup("inner", [OSError(5, secret, secret)])])
        case "note":
            error = KeyError("harmless")
            error.add_note(secret)
            raise error
        case _:
            raise ValueError(secret, secret.encode(errors="replace"))


def failure(kind: str, secret: str) -> Exception:
    """Return what `fail` raises, with its traceback."""
    with pytest.raises(Exception) as caught:  # noqa: PT011  # of any type
        fail(kind, secret)
    return caught.value


def logged(name: str, place: str, secret: str) -> str:
    """Log the secret in some place; return the line."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter({"process": "1"}))
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    before = logger.propagate, logger.level  # a command may have silenced it
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    try:
        match place:
            case "argument":
                logger.error("an event of %r and %s", secret, secret)
            case "mapping":
                logger.error("an event of %(this)s", {"this": secret})
            case "extra":
                logger.error("an event", extra={"body": secret, "plaintext": secret, "args_": [secret]})
            case "stack":
                logger.error("an event", stack_info=True, extra={"local": secret})
            case _:
                logger.error("an event", exc_info=failure(place, secret))
    finally:
        logger.removeHandler(handler)
        logger.propagate = before[0]
        logger.setLevel(before[1])
    return stream.getvalue()


@given(name=LOGGERS, place=PLACES, secret=SECRETS)
def test_a_secret_never_comes_out(name: str, place: str, secret: str) -> None:
    line = logged(name, place, secret)
    assert CANARY not in line
    assert line.count("\n") == 1
    assert json.loads(line)["logger"] == name


@given(secret=SECRETS)
def test_a_library_s_text_that_was_put_together_beforehand_is_not_shown(secret: str) -> None:
    record = logging.LogRecord("asyncio", logging.ERROR, "/somewhere/base_events.py", 1771, secret, (), None)
    assert CANARY not in (line := JsonFormatter().format(record))
    assert json.loads(line)["event"] == "base_events.py:1771"


@given(
    message=st.text() | st.integers() | st.binary(), extra=st.dictionaries(st.sampled_from(sorted(LOG_FIELDS)), SECRETS)
)
def test_the_allowed_fields_come_out_as_they_are_on_one_line(message: Any, extra: dict[str, str]) -> None:
    record = logging.LogRecord(LOGGER.name, logging.INFO, "x.py", 7, message, (), None)
    vars(record).update(extra)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    found = json.loads(line)
    assert {name: found[name] for name in extra} == extra
    assert found["event"] == (message if isinstance(message, str) else "x.py:7")


@given(kind=PLACES, secret=SECRETS)
def test_an_exception_is_told_by_types_and_places_alone(kind: str, secret: str) -> None:
    assume("test_worker" not in secret)
    lines = describe(failure(kind, secret))
    assert CANARY not in str(lines)
    assert all(" at " in line for line in lines)
    assert any("test_worker_telemetry_properties.py:" in line for line in lines)


URL_PART = st.text(st.characters(codec="ascii", exclude_characters="\x00"), max_size=8)


@given(
    user=URL_PART.filter(lambda text: not set(text) & set(":@?&=")),
    before=URL_PART,
    after=URL_PART,
    host=st.from_regex(r"[a-z]{1,8}(:[0-9]{1,4})?(/[a-z]*)?", fullmatch=True),
)
def test_a_url_is_shown_without_its_password(user: str, before: str, after: str, host: str) -> None:
    shown = _redact(f"amqp://{user}:{before}{CANARY}{after}@{host}") or ""
    assert CANARY not in shown
    assert shown.endswith(f":{REDACTED}@{host}")
