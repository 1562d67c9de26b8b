"""Domain keys, wrapped values and row MACs are what the second implementation computed from the page."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from kmsq_worker import envelope, rowmac
from kmsq_worker.rootkey.memory import MemoryRootKey
from kmsq_worker.secret import Secret
from kmsq_worker.wrapping import Binding, DomainKey, UnwrapError, wrapped_by
from vectors import vector_maker
from vectors.files import name_of, vectors

WRAPPED = vectors("wrapped")[0]
Vector = dict[str, Any]


def domain_key() -> DomainKey:
    return DomainKey(UUID(WRAPPED["domain_key_id"]), Secret(bytes.fromhex(WRAPPED["domain_key"])))


def test_wrapped_material_unwraps_at_its_place() -> None:
    wrapped = bytes.fromhex(WRAPPED["wrapped"])
    binding = Binding(**WRAPPED["binding"])
    assert wrapped_by(wrapped) == UUID(WRAPPED["domain_key_id"])
    assert binding.encode().hex() == WRAPPED["encoded_binding"]
    assert domain_key().unwrap(wrapped, binding).reveal().hex() == WRAPPED["material"]


@pytest.mark.parametrize("place", WRAPPED["refused_bindings"], ids=str)
def test_wrapped_material_does_not_unwrap_elsewhere(place: dict[str, Any]) -> None:
    with pytest.raises(UnwrapError):
        domain_key().unwrap(bytes.fromhex(WRAPPED["wrapped"]), Binding(**place))


def test_each_purpose_has_its_own_subkey() -> None:
    data = bytes.fromhex(WRAPPED["macs_of"])
    key = domain_key()
    macs = {"audit": key.audit_mac(data), "token": key.token_mac(data), "idempotency": key.idempotency_mac(data)}
    assert {purpose: mac.hex() for purpose, mac in macs.items()} == WRAPPED["macs"]
    assert len(set(WRAPPED["subkeys"].values())) == len(WRAPPED["subkeys"])


def test_the_root_key_unwraps_the_domain_key() -> None:
    root = MemoryRootKey(Secret(bytes.fromhex(WRAPPED["root_key"])))
    assert root.id == WRAPPED["root_key_id"]
    key = root.unwrap(bytes.fromhex(WRAPPED["wrapped_domain_key"]), UUID(WRAPPED["domain_key_id"]))
    assert key.reveal().hex() == WRAPPED["domain_key"]


def test_material_is_named_as_published() -> None:
    material = Secret(bytes.fromhex(WRAPPED["material"]))
    assert envelope.material_id(material, vector_maker.KEY_ID) == WRAPPED["material_id"]


def value_of(kind: str, value: Any) -> object:  # a vector's value is any JSON
    if kind == "X":
        return bytes.fromhex(value)
    if kind == "T":
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value)
    result: object = value
    return result


@pytest.mark.parametrize("vector", vectors("rows"), ids=name_of)
def test_rows_encode_and_authenticate_as_published(vector: Vector) -> None:
    columns = {column: value_of(kind, value) for column, kind, value in vector["columns"]}
    assert rowmac.encode_row(vector["table"], columns).hex() == vector["encoded"]
    assert domain_key().row_mac(vector["table"], columns).hex() == vector["mac"]
