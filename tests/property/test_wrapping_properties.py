"""No two places and no two rows encode alike."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kmsq_worker.rowmac import RowMacMismatch, encode_row
from kmsq_worker.secret import Secret
from kmsq_worker.wrapping import Binding, DomainKey, UnwrapError

DOMAIN_KEY = DomainKey.generate()
few = st.text("ab", max_size=3)  # what an encoding without lengths would confuse
bindings = st.builds(Binding, few, st.integers(0, 3) | st.integers(0, 2**32 - 1), few, few, few)
moments = st.datetimes(timezones=st.just(UTC), min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31))  # noqa: DTZ001
values = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers()
    | few
    | st.text(max_size=10)
    | st.binary(max_size=10)
    | moments
    | st.lists(few, max_size=3).map(tuple)
)
rows = st.tuples(few, st.dictionaries(few | st.text(max_size=5), values, max_size=4))
Row = tuple[str, dict[str, Any]]


def told_apart(row: Row) -> Any:  # anything hashable by `==`
    """Return the row so that `==` tells `1` from `True`, which Python does not."""
    table, columns = row
    return table, {name: (type(value), value) for name, value in columns.items()}


@given(first=bindings, second=bindings)
def test_different_places_encode_differently(first: Binding, second: Binding) -> None:
    assert (first == second) == (first.encode() == second.encode())


@given(material=st.binary(min_size=1, max_size=200), first=bindings, second=bindings)
def test_material_unwraps_where_it_was_wrapped_only(material: bytes, first: Binding, second: Binding) -> None:
    assume(first != second)
    wrapped = DOMAIN_KEY.wrap(Secret(material), first)
    assert DOMAIN_KEY.unwrap(wrapped, first).reveal() == material
    with pytest.raises(UnwrapError):
        DOMAIN_KEY.unwrap(wrapped, second)


@given(wrapped=st.binary(max_size=200))
def test_any_bytes_do_not_unwrap(wrapped: bytes) -> None:
    for value in (wrapped, b"\x01" + wrapped, b"\x01" + DOMAIN_KEY.id.bytes + wrapped):
        with pytest.raises(UnwrapError):
            DOMAIN_KEY.unwrap(value, Binding(str(uuid.UUID(int=1)), 1, "", "", ""))


@given(first=rows, second=rows)
def test_different_rows_encode_differently(first: Row, second: Row) -> None:
    assert (told_apart(first) == told_apart(second)) == (encode_row(*first) == encode_row(*second))


@given(row=rows, name=few, one=values, other=values)
def test_a_row_with_one_value_changed_does_not_verify(row: Row, name: str, one: object, other: object) -> None:
    table, columns = row
    assume((type(one), one) != (type(other), other))
    mac = DOMAIN_KEY.row_mac(table, {**columns, name: one})
    DOMAIN_KEY.verify_row_mac(mac, table, {**columns, name: one})
    with pytest.raises(RowMacMismatch):
        DOMAIN_KEY.verify_row_mac(mac, table, {**columns, name: other})


@given(row=rows, data=st.data())
def test_the_order_of_columns_does_not_matter(row: Row, data: st.DataObject) -> None:
    table, columns = row
    shuffled = dict(data.draw(st.permutations(list(columns.items()))))
    assert encode_row(table, shuffled) == encode_row(table, columns)
