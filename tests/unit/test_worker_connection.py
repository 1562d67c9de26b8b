"""Whatever the database's driver raises is translated at the seam."""

from uuid import uuid4

import asyncpg
import pytest

from kmsq_worker.audit import Chain
from kmsq_worker.errors import Unavailable, ValidationException
from kmsq_worker.store.changes import Changes
from kmsq_worker.store.connection import translated
from kmsq_worker.wrapping import DomainKey


@pytest.mark.parametrize(
    "failure",
    [
        asyncpg.ConnectionDoesNotExistError("closed"),
        asyncpg.AdminShutdownError("shutdown"),
        asyncpg.InterfaceError("connection is closed"),
        # Seen when the server went away between two messages: "cannot switch to state 12; another operation (2) …".
        asyncpg.InternalClientError("cannot switch to state"),
        ConnectionRefusedError(),
        TimeoutError(),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_a_lost_database_is_unavailable_with_its_cause(failure: Exception) -> None:
    with pytest.raises(Unavailable) as caught, translated():
        raise failure
    assert caught.value.__cause__ is failure


def test_a_value_that_cannot_be_stored_is_the_requests_fault() -> None:
    with pytest.raises(ValidationException), translated():
        raise asyncpg.CharacterNotInRepertoireError("invalid byte sequence")


def test_a_fault_of_ours_is_not_taken_for_an_outage() -> None:
    with pytest.raises(KeyError), translated():
        raise KeyError


async def test_a_change_on_a_connection_that_was_lost_meanwhile_is_unavailable() -> None:
    class Lost:
        """As asyncpg's: it raises where nothing is awaited yet."""

        def transaction(self) -> None:
            raise asyncpg.InterfaceError("connection is closed")

    chain = Chain.begin(domain_key=DomainKey.generate(), chain_id=uuid4())
    with pytest.raises(Unavailable):
        async with Changes(connection=Lost(), chain=chain).transaction(exclusive=True):  # type: ignore[arg-type]  # it is asked for no more
            pass
