"""The edges of a row's encoding; that it is injective is a property test."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import uuid4

import pytest

from kmsq_worker.rowmac import encode_row

NOON = datetime(2026, 1, 2, 12, 0, 0, 1, tzinfo=UTC)


def test_an_instant_encodes_alike_in_every_zone_and_to_the_microsecond() -> None:
    berlin = NOON.astimezone(timezone(timedelta(hours=1)))
    assert encode_row("t", {"at": NOON}) == encode_row("t", {"at": berlin})
    assert encode_row("t", {"at": NOON}) != encode_row("t", {"at": NOON + timedelta(microseconds=1)})


def test_a_list_and_a_tuple_encode_alike() -> None:
    assert encode_row("t", {"tags": ["a", "b"]}) == encode_row("t", {"tags": ("a", "b")})


@pytest.mark.parametrize(
    "value", [1.5, Decimal(1), uuid4(), {"canary": 1}, {"canary"}, object(), ["a", 1], ["a", None]]
)
def test_other_types_are_refused_without_their_value(value: object) -> None:
    with pytest.raises(TypeError, match="column c") as caught:
        encode_row("t", {"c": value})
    assert "canary" not in str(caught.value)


def test_a_datetime_needs_its_zone() -> None:
    with pytest.raises(ValueError, match="column at"):
        encode_row("t", {"at": datetime(2026, 1, 2)})  # noqa: DTZ001


def test_a_large_number_encodes_whole() -> None:
    assert str(2**63).encode() in encode_row("t", {"n": 2**63})
