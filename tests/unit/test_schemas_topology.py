"""The broker's side of the contract: names, routes, and who may do what. The patterns were checked on a real broker."""

import re
from pathlib import Path

import pytest

from kmsq_schemas import message
from kmsq_schemas.operations import SPECS, Operation, Queue
from kmsq_schemas.topology import (
    DEAD_EXCHANGE,
    DEAD_QUEUE,
    EXCHANGES,
    QUEUES,
    REPLIES_EXCHANGE,
    REQUESTS_EXCHANGE,
    Access,
    Permissions,
    TopicPermissions,
    administrator_access,
    bindings,
    producer_access,
    reply_queue,
    reply_routing_key,
    request_routing_key,
    topology_access,
    worker_access,
)

INSTANCE = "0123456789abcdef"
ALICE = producer_access("alice", [Operation.GENERATE_DATA_KEY, Operation.ENCRYPT])
WORKER = worker_access()


def topic(access: Access, exchange: str) -> TopicPermissions:
    return next(permission for permission in access.topics if permission.exchange == exchange)


def allows(pattern: str, name: str, user: str = "alice") -> bool:
    """As the broker does: the user's name is put in unescaped, then the pattern is searched for."""
    return re.search(pattern.replace("{username}", user), name) is not None


def test_each_operation_goes_to_one_queue() -> None:
    assert {queue.value: {o.value for o, spec in SPECS.items() if spec.queue is queue} for queue in Queue} == {
        "kmsq.crypto": {
            "Encrypt",
            "Decrypt",
            "ReEncrypt",
            "GenerateDataKey",
            "GenerateDataKeyWithoutPlaintext",
            "GenerateRandom",
            "Verify",
            "Encapsulate",
            "GenerateMac",
            "VerifyMac",
        },
        "kmsq.slow": {
            "Sign",
            "DeriveSharedSecret",
            "Decapsulate",
            "GenerateDataKeyPair",
            "GenerateDataKeyPairWithoutPlaintext",
            "GetParametersForImport",
        },
        "kmsq.batch": {
            "BatchEncrypt",
            "BatchDecrypt",
            "BatchReEncrypt",
            "BatchGenerateDataKey",
            "BatchGenerateDataKeyWithoutPlaintext",
            "BatchGenerateMac",
        },
        "kmsq.read": {
            "DescribeKey",
            "ListKeys",
            "ListAliases",
            "ListKeyRotations",
            "GetKeyPolicy",
            "GetAccountPolicy",
            "GetPublicKey",
            "GetKeyRotationStatus",
            "ListResourceTags",
            "ListKeyPolicies",
            "ListGrants",
            "ListRetirableGrants",
            "GetKeyLastUsage",
        },
        "kmsq.admin": {
            "CreateKey",
            "EnableKey",
            "DisableKey",
            "UpdateKeyDescription",
            "ScheduleKeyDeletion",
            "CancelKeyDeletion",
            "CreateAlias",
            "UpdateAlias",
            "DeleteAlias",
            "PutKeyPolicy",
            "PutAccountPolicy",
            "RotateKeyOnDemand",
            "EnableKeyRotation",
            "DisableKeyRotation",
            "TagResource",
            "UntagResource",
            "CreateGrant",
            "RetireGrant",
            "RevokeGrant",
            "ImportKeyMaterial",
            "DeleteImportedKeyMaterial",
        },
    }


def test_the_documentation_lists_each_queue_with_its_operations() -> None:
    page = (Path(__file__).parents[2] / "docs" / "messages.md").read_text(encoding="utf-8")
    for queue in Queue:
        row = next(line for line in page.splitlines() if line.startswith(f"| `{queue}` |"))
        listed = row.split("|")[2].rpartition(":")[2].split(",")
        assert [name.strip() for name in listed] == [o.value for o, spec in SPECS.items() if spec.queue is queue]


def test_the_table_holds_every_operation_once_under_its_name() -> None:
    assert list(SPECS) == list(Operation)
    for operation, spec in SPECS.items():
        assert spec.operation is operation
        assert (spec.request.__name__, spec.reply.__name__) == (f"{operation}Request", f"{operation}Reply")


def test_changes_are_what_the_admin_queue_takes() -> None:
    assert SPECS[Operation.ROTATE_KEY_ON_DEMAND].is_change
    assert not SPECS[Operation.ENCRYPT].is_change
    assert not SPECS[Operation.SIGN].is_change
    assert not SPECS[Operation.GET_KEY_POLICY].is_change


def test_each_operation_is_bound_and_nothing_else_is() -> None:
    expected = {(REQUESTS_EXCHANGE, spec.queue.value, f"*.{operation}") for operation, spec in SPECS.items()}
    assert set(bindings()) == expected | {(DEAD_EXCHANGE, DEAD_QUEUE, "")}
    assert {binding.queue for binding in bindings()} == set(QUEUES)
    assert {binding.exchange for binding in bindings()} | {REPLIES_EXCHANGE} == set(EXCHANGES)


def test_queues_lose_nothing_when_they_dead_letter() -> None:
    for queue in Queue:
        assert dict(QUEUES[queue]) == {
            "x-queue-type": "quorum",
            "x-delivery-limit": 20,
            "x-dead-letter-exchange": "kmsq.dead",
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
    assert dict(QUEUES["kmsq.dead"]) == {
        "x-queue-type": "quorum",
        "x-message-ttl": 1_209_600_000,
        "x-max-length-bytes": 1_073_741_824,
        "x-delivery-limit": 1_000_000,  # looking at a dead letter must not be what loses it
    }
    assert dict(EXCHANGES) == {"kmsq.requests": "topic", "kmsq.replies": "topic", "kmsq.dead": "fanout"}


def test_names_of_one_producer() -> None:
    assert request_routing_key("alice", Operation.ENCRYPT) == "alice.Encrypt"
    assert reply_routing_key("alice", INSTANCE) == f"alice.{INSTANCE}"
    assert reply_queue("alice", INSTANCE) == f"kmsq.reply.alice.{INSTANCE}"


@pytest.mark.parametrize("principal", ["", "Alice", "a.b", "a#", "*", "-a", "a\n", "a" * 65, "ä"])
def test_no_name_is_built_from_what_is_no_principal(principal: str) -> None:
    for build in (reply_routing_key, reply_queue):
        with pytest.raises(ValueError, match="not a principal's name"):
            build(principal, INSTANCE)
    with pytest.raises(ValueError, match="not a principal's name"):
        request_routing_key(principal, Operation.ENCRYPT)
    with pytest.raises(ValueError, match="not a principal's name"):
        producer_access(principal, [Operation.ENCRYPT])


@pytest.mark.parametrize("instance", ["", "short", "A" * 16, "a" * 33, "a" * 15 + "\n", "a" * 16 + "\n", "a.b" * 6])
def test_no_name_is_built_from_what_is_no_instance(instance: str) -> None:
    for build in (reply_routing_key, reply_queue):
        with pytest.raises(ValueError, match="not an instance's name"):
            build("alice", instance)


def test_a_producer_s_patterns_are_those_checked_on_a_broker() -> None:
    assert ALICE.permissions == Permissions(
        configure=r"^kmsq\.reply\.alice\..+$",
        write=r"^(kmsq\.requests|kmsq\.reply\.alice\..+)$",
        read=r"^(kmsq\.replies|kmsq\.reply\.alice\..+)$",
    )
    assert ALICE.topics == (
        TopicPermissions("kmsq.requests", write=r"^{username}\.(Encrypt|GenerateDataKey)$", read="^$"),
        TopicPermissions("kmsq.replies", write="^$", read=r"^{username}\.[a-z0-9]+$"),
    )


def test_the_worker_s_patterns() -> None:
    assert WORKER.permissions == Permissions(
        configure="^$",
        write=r"^(kmsq\.replies|kmsq\.dead)$",
        read=r"^(kmsq\.crypto|kmsq\.slow|kmsq\.batch|kmsq\.read|kmsq\.admin)$",
    )


def test_a_producer_reaches_its_own_reply_queue_and_no_other() -> None:
    for pattern in (ALICE.permissions.configure, ALICE.permissions.write, ALICE.permissions.read):
        assert allows(pattern, reply_queue("alice", INSTANCE))
        for name in (reply_queue("bob", INSTANCE), reply_queue("alice2", INSTANCE), "kmsq.crypto", "kmsq.dead", ""):
            assert not allows(pattern, name)
    assert not allows(ALICE.permissions.write, REPLIES_EXCHANGE)
    assert not allows(ALICE.permissions.read, REQUESTS_EXCHANGE)


def test_a_producer_publishes_its_operations_under_its_name() -> None:
    write = topic(ALICE, REQUESTS_EXCHANGE).write
    assert allows(write, "alice.Encrypt")
    for key in ("alice.Decrypt", "bob.Encrypt", "alice.EncryptX", "x.alice.Encrypt", "aliceXEncrypt", "#"):
        assert not allows(write, key)


def test_a_producer_binds_to_its_own_replies() -> None:
    read = topic(ALICE, REPLIES_EXCHANGE).read
    assert allows(read, reply_routing_key("alice", INSTANCE))
    for key in ("#", "*.*", "alice.*", "alice.#", f"bob.{INSTANCE}"):
        assert not allows(read, key)


def test_a_producer_without_operations_publishes_nothing() -> None:
    write = topic(producer_access("alice", []), REQUESTS_EXCHANGE).write
    assert not any(allows(write, key) for key in ("alice.Encrypt", "alice.", "alice.()"))


def test_an_administrator_publishes_every_operation() -> None:
    write = topic(administrator_access("root"), REQUESTS_EXCHANGE).write
    assert all(allows(write, request_routing_key("root", operation), "root") for operation in Operation)


def test_the_worker_replies_to_anyone_and_asks_nothing() -> None:
    assert allows(topic(WORKER, REPLIES_EXCHANGE).write, reply_routing_key("a-1", INSTANCE))
    assert not allows(topic(WORKER, REPLIES_EXCHANGE).write, "alice.Encrypt")
    assert not allows(topic(WORKER, REQUESTS_EXCHANGE).write, "alice.Encrypt")
    assert not allows(WORKER.permissions.write, "")  # the default exchange, which reaches every queue
    assert not allows(WORKER.permissions.read, DEAD_QUEUE)


def test_who_declares_the_topology_publishes_no_message() -> None:
    access = topology_access()
    for name in (*EXCHANGES, *QUEUES):
        assert allows(access.permissions.configure, name)
    assert all(allows(topic(access, REQUESTS_EXCHANGE).read, binding.pattern) for binding in bindings()[:-1])
    for exchange in (REQUESTS_EXCHANGE, REPLIES_EXCHANGE):
        assert not allows(access.permissions.write, exchange)
        assert topic(access, exchange).write == "^$"


def test_every_role_has_a_topic_permission_for_both_exchanges() -> None:
    for access in (ALICE, WORKER, administrator_access("root"), topology_access()):
        assert {permission.exchange for permission in access.topics} == {REQUESTS_EXCHANGE, REPLIES_EXCHANGE}


def test_reply_to_is_read_for_its_owner_only() -> None:
    good = reply_queue("alice", INSTANCE)
    assert message.parse_reply_to(good, "alice") == INSTANCE
    assert message.parse_reply_to(reply_queue("a-1", "a" * 32), "a-1") == "a" * 32
    for bad in (
        None,
        "",
        good + "\n",
        good[:-1],
        good + "." + INSTANCE,
        " " + good,
        good.upper(),
        "amq.rabbitmq.reply-to",
    ):
        assert message.parse_reply_to(bad, "alice") is None
    for principal in ("bob", "alic", "alice.", "", "alice\n"):
        assert message.parse_reply_to(good, principal) is None


def test_a_new_instance_is_well_formed_and_new() -> None:
    instances = {message.new_instance() for _ in range(100)}
    assert len(instances) == 100
    assert all(message.is_instance(instance) for instance in instances)


def test_names_are_matched_to_their_very_end() -> None:
    assert message.is_principal("a")
    assert message.is_principal("0" + "a" * 63)
    assert not message.is_principal("a\n")
    assert not message.is_principal("a" * 65)
    assert not message.is_instance(INSTANCE + "\n")
    assert not message.is_instance("\N{ARABIC-INDIC DIGIT ONE}" * 16)
