"""A Secret never shows what it holds."""

import copy
import dataclasses
import json
import logging
import pickle
import traceback

import pytest

from kmsq_worker.secret import Secret

CANARY = b"canary-0123456789-canary-5678901"


def test_it_gives_its_bytes_out_by_name_only() -> None:
    secret = Secret(CANARY)
    assert secret.reveal() is CANARY
    assert len(secret) == 32
    with pytest.raises(TypeError):
        bytes(secret)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        iter(secret)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        vars(secret)


def test_printing_shows_the_length() -> None:
    secret = Secret(CANARY)
    shown = "<Secret 32 bytes>"
    assert repr(secret) == str(secret) == f"{secret}" == f"{secret!r}" == "%s" % secret == shown  # noqa: UP031
    assert f"{secret:>20}" == f"   {shown}"
    assert repr([secret]) == f"[{shown}]"


def test_logging_and_tracebacks_do_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    def fail(secret: Secret) -> None:
        raise ValueError(secret)

    with pytest.raises(ValueError, match="<Secret 32 bytes>") as caught:
        fail(Secret(CANARY))
    logging.getLogger("test").error("with %s", Secret(CANARY), exc_info=caught.value)
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "secret = <Secret 32 bytes>" in shown
    assert "canary" not in shown.replace(__file__, "") + caplog.text


def test_comparing_and_hashing_raise() -> None:
    secret = Secret(CANARY)
    with pytest.raises(TypeError, match="compare_digest"):
        assert secret == secret  # noqa: PLR0124
    with pytest.raises(TypeError, match="compare_digest"):
        assert secret != Secret(CANARY)
    with pytest.raises(TypeError, match="compare_digest"):
        assert CANARY == secret  # noqa: SIM300
    with pytest.raises(TypeError, match="unhashable"):
        hash(secret)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickling_raises(protocol: int) -> None:
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps({"key": Secret(CANARY)}, protocol)


def test_every_other_way_to_copy_raises() -> None:
    @dataclasses.dataclass
    class Holder:
        key: Secret

    secret = Secret(CANARY)
    for attempt in (copy.copy, copy.deepcopy, Secret.__reduce__, Secret.__getstate__):
        with pytest.raises(TypeError, match="copied"):
            attempt(secret)
    with pytest.raises(TypeError, match="copied"):
        dataclasses.asdict(Holder(secret))
    with pytest.raises(TypeError, match="JSON"):
        json.dumps(secret)


@pytest.mark.parametrize("value", [bytearray(b"canary"), memoryview(b"canary"), "canary", None])
def test_only_bytes_are_held_and_the_error_does_not_show_the_value(value: object) -> None:
    with pytest.raises(TypeError) as caught:
        Secret(value)  # type: ignore[arg-type]
    assert "canary" not in str(caught.value)


def test_random_secrets_differ() -> None:
    drawn = {Secret.random(32).reveal() for _ in range(1000)}
    assert len(drawn) == 1000
    assert {len(value) for value in drawn} == {32}
