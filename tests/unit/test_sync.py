"""The client of code without an event loop."""

import asyncio
import inspect
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

import kmsq
from fakes.batches import FAILS, Held, results, values
from kmsq import ItemFailure
from kmsq.errors import (
    AccessDeniedException,
    ClientClosed,
    DisabledException,
    InvalidAddress,
    InvalidRequest,
    NotConnected,
)
from kmsq.operations.data_key_streams import DataKeyStreamOperations
from kmsq.operations.streams import StreamOperations
from kmsq.sync import Client
from kmsq.testing import FakeKms
from kmsq_schemas.models import BatchGenerateMacReply, CreateKeyReply, CreateKeyRequest
from kmsq_schemas.operations import Operation

SOON_SECONDS = 20.0
ONE_BY_ONE = (
    *("encrypt", "decrypt", "re_encrypt", "generate_data_key", "generate_data_key_without_plaintext"),
    *("generate_random", "generate_mac", "verify_mac", "sign", "verify", "describe_key"),
)
STREAMS = [name for mixin in (StreamOperations, DataKeyStreamOperations) for name in vars(mixin) if name[0] != "_"]


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def client(held: Held) -> Iterator[Client]:
    with Client.over(held.client()) as entered:
        yield entered


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + SOON_SECONDS
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.parametrize("name", [*ONE_BY_ONE, *STREAMS])
def test_methods_take_what_those_of_the_asynchronous_client_take(name: str) -> None:
    ours, theirs = (inspect.signature(getattr(cls, name)) for cls in (Client, kmsq.Client))
    assert [(one.name, one.kind, one.default) for one in ours.parameters.values()] == [
        (one.name, one.kind, one.default) for one in theirs.parameters.values()
    ]
    assert inspect.getdoc(getattr(Client, name)) == inspect.getdoc(getattr(kmsq.Client, name))


def test_values_are_encrypted_without_an_event_loop() -> None:
    with Client.over(FakeKms().client("alice")) as client:
        made = client.call(Operation.CREATE_KEY, CreateKeyRequest())
        assert isinstance(made, CreateKeyReply)
        key_id = made.key_metadata.key_id
        sealed = client.encrypt(key_id, b"secret", encryption_context={"order": "17"})
        assert client.decrypt(sealed.ciphertext_blob, encryption_context={"order": "17"}).plaintext == b"secret"
        assert client.describe_key(key_id).key_metadata.key_id == key_id
        moved = client.re_encrypt(sealed.ciphertext_blob, key_id, source_encryption_context={"order": "17"})
        assert client.decrypt(moved.ciphertext_blob).plaintext == b"secret"
        assert len(client.generate_random(5).plaintext) == 5
        assert repr(client) == "<Client of alice>"


def test_what_was_encrypted_is_decrypted_and_moved_in_its_contexts() -> None:
    def row(index: int, _value: bytes) -> dict[str, str]:
        return {"row": str(index)}

    kms = FakeKms()
    kms.answer_with(
        "BatchGenerateMac",
        lambda request: BatchGenerateMacReply(
            macs=request.messages, mac_algorithm=request.mac_algorithm, key_id="k", failed=[]
        ),
    )
    with Client.over(kms.client()) as client:
        made = client.call(Operation.CREATE_KEY, CreateKeyRequest())
        assert isinstance(made, CreateKeyReply)
        key_id = made.key_metadata.key_id
        blobs = list(client.encrypt_many(key_id, values(250), context_of=row, items_per_message=100))
        moved = client.re_encrypt_many(blobs, key_id, source_context_of=row, destination_context={"a": "b"})
        assert list(client.decrypt_many(moved, context={"a": "b"})) == values(250)
        data_keys = list(client.generate_data_keys(key_id, 3, key_spec="AES_256"))
        opened = client.decrypt_many(data_key.ciphertext_blob for data_key in data_keys)
        assert list(opened) == [data_key.plaintext for data_key in data_keys]
        wrapped = client.generate_data_keys_without_plaintext(key_id, 2, number_of_bytes=7)
        assert [len(plaintext) for plaintext in client.decrypt_many(wrapped)] == [7, 7]
        assert list(client.generate_mac_many(key_id, values(3), "HMAC_SHA_256")) == values(3)


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 95])
def test_results_come_in_the_order_of_the_values(held: Held, client: Client, count: int) -> None:
    found = list(client.encrypt_many("k", iter(values(count)), items_per_message=10, in_flight=3, timeout_seconds=7))
    assert found == results(count)
    assert [value for message in held.sent for value in message] == values(count)
    assert held.most_under_way <= 3
    assert set(held.timeouts) <= {7}


def test_values_are_read_in_the_thread_that_takes_the_results_and_not_far_ahead(client: Client) -> None:
    read = 0
    threads = set()

    def source() -> Iterator[bytes]:
        nonlocal read
        for value in values(1000):
            threads.add(threading.current_thread())
            read += 1
            yield value

    with closing(client.encrypt_many("k", source(), items_per_message=10, in_flight=3)) as stream:
        for taken in range(60):
            next(stream)
            assert read - taken <= (3 + 1) * 10
    assert threads == {threading.current_thread()}
    assert read < 110


def test_further_messages_are_under_way_while_results_are_taken(held: Held, client: Client) -> None:
    held.holding = True
    with closing(client.encrypt_many("k", values(100), items_per_message=10, in_flight=3)) as stream:
        found: list[bytes] = []
        taking = threading.Thread(target=lambda: found.append(next(stream)))
        taking.start()
        wait_until(lambda: held.waiting == [0, 1, 2])
        held.answer_soon(0)
        taking.join(SOON_SECONDS)
        assert found == results(1)
        wait_until(lambda: held.waiting == [1, 2, 3])
    wait_until(lambda: not held.waiting)
    assert held.cancelled == 3


def test_a_value_that_fails_is_raised_after_the_results_before_it_or_comes_in_its_place(client: Client) -> None:
    wanted = values(30)
    wanted[17] = FAILS
    found: list[bytes] = []
    with pytest.raises(DisabledException) as caught:
        found.extend(client.encrypt_many("k", wanted, items_per_message=5))
    assert caught.value.index == 17
    assert found == results(17)
    yielded = list(client.encrypt_many("k", wanted, items_per_message=5, errors="yield"))
    assert len(yielded) == 30
    assert [result.index for result in yielded if isinstance(result, ItemFailure)] == [17]


def test_what_fails_a_message_or_the_source_is_raised_after_the_results_before_it(held: Held, client: Client) -> None:
    def source() -> Iterator[Any]:
        yield from values(25)
        raise LookupError

    wanted: Any
    for wanted, error, before in ((source(), LookupError, 25), ([*values(13), None], InvalidRequest, 13)):
        found: list[bytes] = []
        with pytest.raises(error):
            found.extend(client.encrypt_many("k", wanted, items_per_message=10))
        assert found == results(before)
    held.sent.clear()
    held.failures[2] = AccessDeniedException("no")
    taken: list[bytes | ItemFailure] = []
    with pytest.raises(AccessDeniedException):
        taken.extend(client.encrypt_many("k", values(100), items_per_message=10, errors="yield"))
    assert taken == results(20)


def test_what_no_stream_can_be_told_is_refused_at_once(client: Client) -> None:
    wrong: Any
    for wrong in ({"in_flight": 0}, {"items_per_message": 0}, {"errors": "ignore"}):
        with pytest.raises(InvalidRequest):
            client.encrypt_many("k", [b"x"], **wrong)


def test_a_client_outside_its_block_says_so(held: Held) -> None:
    client = Client.over(held.client())
    with pytest.raises(ClientClosed, match="`with`"):
        client.generate_random(1)
    with client:
        stream = client.encrypt_many("k", values(100), items_per_message=10, in_flight=2)
        assert next(stream) == results(1)[0]
    with pytest.raises(ClientClosed):
        client.describe_key("k")
    found: list[bytes] = []
    with pytest.raises(ClientClosed):
        found.extend(stream)
    assert len(found) < 99


def test_any_number_of_threads_may_use_it(client: Client) -> None:
    found: dict[int, list[bytes]] = {}

    def take(number: int) -> None:
        found[number] = list(client.encrypt_many("k", values(100 + number), items_per_message=10))

    threads = [threading.Thread(target=take, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON_SECONDS)
    assert found == {number: results(100 + number) for number in range(5)}


def test_who_cannot_connect_hears_it_on_entering_and_leaves_no_thread() -> None:
    with pytest.raises(InvalidAddress):
        Client("amqp://broker/")
    before = threading.active_count()
    client = Client("amqp://alice:canary@127.0.0.1:1/", connect_timeout_seconds=0.2, coalesce=False)
    with pytest.raises(NotConnected), client:
        pass
    assert "canary" not in repr(client)
    assert threading.active_count() == before


def test_it_works_beside_an_event_loop(client: Client) -> None:
    async def main() -> list[bytes]:
        return await asyncio.to_thread(lambda: list(client.encrypt_many("k", values(25), items_per_message=10)))

    assert asyncio.run(main()) == results(25)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")  # of Python 3.12 on: it is what we test
def test_a_stream_stays_with_the_process_that_began_it(held: Held, client: Client) -> None:
    held.holding = True
    stream = client.encrypt_many("k", values(3), items_per_message=1, in_flight=3)

    def answer_first() -> None:
        wait_until(lambda: len(held.waiting) == 3)
        held.answer_soon(0)

    answering = threading.Thread(target=answer_first)
    answering.start()
    assert next(stream) == results(1)[0]
    answering.join()
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)

    def child() -> None:
        try:
            next(stream)
        except ClientClosed as error:
            send.send(str(error))

    process = context.Process(target=child, daemon=True)
    process.start()
    assert receive.poll(SOON_SECONDS)
    assert receive.recv() == "the process that began this stream is another: begin one here"
    process.join(SOON_SECONDS)
    for number in (1, 2):
        held.answer_soon(number)
    assert list(stream) == results(3)[1:]
