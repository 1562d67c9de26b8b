"""The stored outcome of a change: nobody with SQL answers in the service's name."""

from typing import Any

import pytest

from fakes.database import Database
from fakes.deliveries import request
from fakes.workers import change_lane, code_of
from kmsq_schemas.models import CreateKeyRequest

FORGERIES: dict[str, dict[str, Any]] = {
    "body": {"body": b'{"KeyMetadata":{}}'},
    "type": {"type": "Error"},
    "digest": {"digest": bytes(48)},
    "seal": {"seal": bytes(48)},
    "no seal": {"seal": b""},
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_an_edited_outcome_is_not_sent_and_raises_the_alarm(forgery: str) -> None:
    database = Database()
    sent = request(CreateKeyRequest())
    await (await change_lane(database)).run(sent)
    (claim,) = database.tables.claims.values()
    claim |= FORGERIES[forgery]
    lane = await change_lane(database)
    (reply,) = await lane.run(sent)
    assert code_of(reply) == "KMSInternalException"
    assert lane.telemetry.registry.get_sample_value("kmsq_integrity_failures_total") == 1
    assert (lane.records[0]["reason"], len(database.tables.keys)) == ("tampered", 1)


async def test_an_outcome_of_another_request_is_not_believed() -> None:
    database = Database()
    first, second = request(CreateKeyRequest()), request(CreateKeyRequest())
    await (await change_lane(database)).run(first, second)
    one, other = database.tables.claims.values()
    one |= {name: other[name] for name in ("type", "body", "seal", "digest")}
    (reply,) = await (await change_lane(database)).run(first)
    assert code_of(reply) == "KMSInternalException"
