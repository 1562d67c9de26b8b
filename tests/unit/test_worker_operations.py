"""The tables of operations against the contract, and what operations share: markers, metadata, states."""

import inspect
import typing
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from fakes.database import ACCOUNT, MOMENT, Database
from kmsq_schemas.models import KeyMetadata
from kmsq_schemas.models.enums import KeySpec, KeyState, KeyUsage
from kmsq_schemas.operations import SPECS, Operation, Queue
from kmsq_worker.arn import Account
from kmsq_worker.change_execution import ChangeExecution
from kmsq_worker.custody import Custody, Key
from kmsq_worker.errors import (
    DisabledException,
    DryRunOperationException,
    InvalidKeyUsageException,
    InvalidMarkerException,
    KmsError,
    KMSInvalidStateException,
)
from kmsq_worker.execution import TurnExecution
from kmsq_worker.operations import CHANGE_OPERATIONS, TURN_OPERATIONS
from kmsq_worker.operations.dry_run import stop_if_dry
from kmsq_worker.operations.metadata import metadata
from kmsq_worker.operations.pages import page, position_of
from kmsq_worker.operations.states import refuse_pending_deletion, refuse_state, require_enabled, require_usage
from kmsq_worker.policy.defaults import KEY_ADMINISTRATION
from kmsq_worker.view import Wanted


def parameters(function: Callable[..., object]) -> list[Any]:
    """Return the types of a function's parameters, in order; its result last."""
    hints = typing.get_type_hints(function)
    return [hints.get(name) for name in inspect.signature(function).parameters] + [hints["return"]]


def accepts(annotation: Any, model: type) -> bool:
    return annotation is object or annotation is model or model in typing.get_args(annotation)


def test_every_operation_is_in_the_table_of_its_queue_and_in_no_other() -> None:
    assert set(CHANGE_OPERATIONS) == {spec.operation for spec in SPECS.values() if spec.is_change}
    assert set(TURN_OPERATIONS) == {spec.operation for spec in SPECS.values() if not spec.is_change}
    assert set(TURN_OPERATIONS) | set(CHANGE_OPERATIONS) == set(Operation)
    assert {spec.queue for spec in SPECS.values() if spec.is_change} == {Queue.ADMIN}


@pytest.mark.parametrize("operation", TURN_OPERATIONS)
def test_a_turn_s_operation_takes_and_gives_what_the_contract_says(operation: Operation) -> None:
    spec, entry = SPECS[operation], TURN_OPERATIONS[operation]
    execution, request, reply = parameters(entry.run)
    assert execution is TurnExecution
    assert accepts(request, spec.request)
    assert reply is spec.reply
    account, wanting, wanted = parameters(entry.wants)
    assert account is Account
    assert accepts(wanting, spec.request)
    assert typing.get_args(wanted) == (Wanted,)


@pytest.mark.parametrize("operation", CHANGE_OPERATIONS)
def test_a_change_takes_and_gives_what_the_contract_says(operation: Operation) -> None:
    spec, entry = SPECS[operation], CHANGE_OPERATIONS[operation]
    execution, request, prepared, reply = parameters(entry.run)
    assert execution is ChangeExecution
    assert request is spec.request
    assert reply is spec.reply
    assert inspect.iscoroutinefunction(entry.run)
    if entry.prepare is None:
        assert prepared is type(None)
    else:
        custody, request, made = parameters(entry.prepare)
        assert (custody, request, made) == (Custody, spec.request, prepared)
        assert inspect.iscoroutinefunction(entry.prepare)


@pytest.mark.parametrize("operation", [name for name in TURN_OPERATIONS if SPECS[name].queue is not Queue.READ])
def test_what_takes_long_is_awaited_and_quick_cryptography_is_not(operation: Operation) -> None:
    takes_long = SPECS[operation].queue in {Queue.SLOW, Queue.BATCH}
    assert inspect.iscoroutinefunction(TURN_OPERATIONS[operation].run) is takes_long


def test_only_creating_a_key_shares_the_lock() -> None:
    assert [name for name, entry in CHANGE_OPERATIONS.items() if not entry.exclusive] == [Operation.CREATE_KEY]


def test_administrators_of_a_key_may_not_use_it() -> None:
    using = {f"kms:{name}" for name, spec in SPECS.items() if spec.queue is Queue.CRYPTO}
    assert not using & set(KEY_ADMINISTRATION)


@pytest.fixture
async def custody() -> Custody:
    return await Database().custody()


async def test_a_marker_leads_back_to_its_position(custody: Custody) -> None:
    rows = ["a", "bä", "c"]
    found = page(custody, "ListKeys", rows, 2, str)
    assert (list(found.entries), found.truncated) == (["a", "bä"], True)
    assert position_of(custody, "ListKeys", found.next_marker) == "bä"
    assert position_of(custody, "ListKeys", None) == ""


@pytest.mark.parametrize("rows", [[], ["a"], ["a", "b"]])
async def test_the_last_page_has_no_marker(custody: Custody, rows: list[str]) -> None:
    found = page(custody, "ListKeys", rows, 2, str)
    assert (list(found.entries), found.truncated, found.next_marker) == (rows, False, None)


async def test_a_marker_of_another_list_or_key_or_service_is_refused(custody: Custody) -> None:
    marker = page(custody, "ListAliases k1", ["a", "b"], 1, str).next_marker
    for scope in ("ListAliases k2", "ListAliases ", "ListKeys", ""):
        with pytest.raises(InvalidMarkerException):
            position_of(custody, scope, marker)
    with pytest.raises(InvalidMarkerException):
        position_of(await Database().custody(), "ListAliases k1", marker)


@pytest.mark.parametrize("marker", ["", "x", "====", "ä", "A" * 63, "A" * 64, "A" * 1024, "!" * 64, "\n"])
async def test_what_is_no_marker_is_refused(custody: Custody, marker: str) -> None:
    with pytest.raises(InvalidMarkerException, match="not made for this list"):
        position_of(custody, "ListKeys", marker)


async def test_a_marker_is_one_text_and_no_other_that_decodes_alike(custody: Custody) -> None:
    marker = page(custody, "ListKeys", ["ab", "b"], 1, str).next_marker or ""
    assert position_of(custody, "ListKeys", marker) == "ab"
    for alike in (f"{marker}\n", f"!{marker}", f"{marker[:5]}*{marker[5:]}", f"{marker}====", f" {marker}"):
        with pytest.raises(InvalidMarkerException):
            position_of(custody, "ListKeys", alike)


async def key_in(state: KeyState, **columns: Any) -> Key:
    database = Database()
    return (await database.custody()).open_key(database.add_key(key_state=state, **columns))


def outcome(check: Callable[[], object]) -> type[KmsError] | None:
    try:
        check()
    except KmsError as error:
        return type(error)
    return None


@pytest.mark.parametrize(
    ("state", "enabled", "not_deleted", "words"),
    [
        (KeyState.ENABLED, None, None, "Enabled"),
        (KeyState.DISABLED, DisabledException, None, "Disabled"),
        (KeyState.PENDING_DELETION, KMSInvalidStateException, KMSInvalidStateException, "pending deletion"),
        (KeyState.PENDING_IMPORT, KMSInvalidStateException, None, "pending import"),
        (KeyState.PENDING_REPLICA_DELETION, KMSInvalidStateException, None, "PendingReplicaDeletion"),
        (KeyState.CREATING, KMSInvalidStateException, None, "Creating"),
        (KeyState.UPDATING, KMSInvalidStateException, None, "Updating"),
        (KeyState.UNAVAILABLE, KMSInvalidStateException, None, "Unavailable"),
    ],
)
async def test_states(
    state: KeyState, enabled: type[KmsError] | None, not_deleted: type[KmsError] | None, words: str
) -> None:
    key = await key_in(state)
    assert outcome(lambda: require_enabled(key)) is enabled
    assert outcome(lambda: refuse_pending_deletion(key)) is not_deleted
    with pytest.raises(KMSInvalidStateException, match=f"{key.arn} is {words}"):
        refuse_state(key)


def test_every_state_is_in_the_table() -> None:
    marks = [mark for mark in test_states.pytestmark if mark.name == "parametrize"]  # type: ignore[attr-defined]
    assert {row[0] for row in marks[0].args[1]} == set(KeyState)


@pytest.mark.parametrize("usage", KeyUsage)
async def test_a_key_serves_its_usage_alone(usage: KeyUsage) -> None:
    key = await key_in(KeyState.ENABLED, key_usage=usage)
    for wanted in KeyUsage:
        expected = None if wanted is usage else InvalidKeyUsageException
        assert outcome(lambda wanted=wanted: require_usage(key, wanted, "Encrypt")) is expected  # type: ignore[misc]


def test_a_dry_run_ends_where_everything_was_checked() -> None:
    for no in (None, False):
        stop_if_dry(no)
    with pytest.raises(DryRunOperationException):
        stop_if_dry(True)  # noqa: FBT003  # the request's field


def shown(**columns: Any) -> KeyMetadata:
    return metadata(ACCOUNT, replace(Database().add_key(), **columns), "ab" * 32)


def test_metadata_shows_everything_but_the_policy() -> None:
    key_id = "01234567-89ab-cdef-0123-456789abcdef"
    found = shown(key_id=key_id, description="what for")
    assert found.arn == f"arn:kmsq:kms:local:000000000000:key/{key_id}"
    assert (found.key_id, found.aws_account_id, found.description) == (key_id, "000000000000", "what for")
    assert (found.key_spec, found.enabled) == (KeySpec.SYMMETRIC_DEFAULT, True)
    assert found.current_key_material_id == "ab" * 32
    assert found.creation_date == MOMENT
    assert "policy" not in found.model_dump()


@pytest.mark.parametrize("state", KeyState)
def test_metadata_says_enabled_of_enabled_keys_alone(state: KeyState) -> None:
    assert shown(key_state=state).enabled is (state is KeyState.ENABLED)


def test_metadata_shows_the_deletion_date_while_there_is_one() -> None:
    found = shown(key_state=KeyState.PENDING_DELETION, deletion_date=MOMENT, pending_window_days=7)
    assert (found.deletion_date, found.pending_deletion_window_in_days) == (MOMENT, None)
    assert shown().deletion_date is None
