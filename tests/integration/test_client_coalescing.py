"""Coalesced calls against the whole service: their callers cannot tell them from single ones."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias, TypeVar

import pytest

from integration.evidence import running
from kmsq import Client
from kmsq.coalescing import Coalescer
from kmsq.errors import (
    AccessDeniedException,
    DisabledException,
    IncorrectKeyException,
    InvalidCiphertextException,
    InvalidKeyUsageException,
    NotFoundException,
    RequestRefused,
    ServiceError,
)
from kmsq.transport import Transport
from kmsq_schemas.models import KeyMetadata, Reply, Request
from kmsq_schemas.operations import Operation
from services.stack import ADMINISTRATOR, PrivateStack

CROWD = 40
CONTEXT = {"table": "orders"}

R = TypeVar("R")
Call: TypeAlias = Callable[[Client], Awaitable[R]]


class Counting:
    """Counts what passes."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.sent: Counter[Operation] = Counter()

    async def call(self, operation: Operation, request: Request, *, timeout_seconds: float) -> Reply:
        """See `Transport`."""
        self.sent[operation] += 1
        return await self._inner.call(operation, request, timeout_seconds=timeout_seconds)


@dataclass(frozen=True, slots=True)
class Pair:
    """One principal with two clients: one that sends single messages, and one that coalesces."""

    single: Client
    together: Client
    counting: Counting

    async def crowd(self, calls: Iterable[Call[R]]) -> list[R | BaseException]:
        """Make all calls at once, in few messages."""
        before = self.counting.sent.copy()
        outcomes = await asyncio.gather(*(call(self.together) for call in calls), return_exceptions=True)
        sent = self.counting.sent - before
        assert any(operation.value.startswith("Batch") for operation in sent)
        assert sent.total() <= 8
        return outcomes


def counted(client: Client) -> Counting:
    coalescer = client._transport
    assert isinstance(coalescer, Coalescer)
    counting = Counting(coalescer._inner)
    coalescer._inner = counting
    return counting


@pytest.fixture
async def pair(stack: PrivateStack) -> AsyncGenerator[Pair]:
    url = stack.administrator_url
    async with Client(url, coalesce=False) as single, Client(url) as together:
        yield Pair(single, together, counted(together))


@pytest.fixture
async def key(pair: Pair) -> KeyMetadata:
    return (await pair.single.create_key()).key_metadata


def said(reply: object, *random: str) -> dict[str, object]:
    """Return what a reply says, but for what is random in it."""
    assert isinstance(reply, Reply), repr(reply)
    return reply.model_dump(exclude=set(random))


async def sealed(client: Client, key_id: str, texts: Sequence[bytes]) -> list[bytes]:
    replies = await asyncio.gather(*(client.encrypt(key_id, text, encryption_context=CONTEXT) for text in texts))
    return [reply.ciphertext_blob for reply in replies]


async def test_encrypt_answers_as_singly(pair: Pair, key: KeyMetadata) -> None:
    expected = await pair.single.encrypt(key.key_id, b"x", encryption_context=CONTEXT)
    texts = [b"text %d" % number for number in range(CROWD)]
    replies = await pair.crowd(
        partial(Client.encrypt, key_id=key.key_id, plaintext=text, encryption_context=CONTEXT) for text in texts
    )
    assert [said(reply, "ciphertext_blob") for reply in replies] == [said(expected, "ciphertext_blob")] * CROWD
    for text, reply in zip(texts, replies, strict=True):
        blob = said(reply)["ciphertext_blob"]
        assert isinstance(blob, bytes)
        assert (await pair.single.decrypt(blob, encryption_context=CONTEXT)).plaintext == text


async def test_decrypt_answers_as_singly_whatever_keys_and_materials(pair: Pair, key: KeyMetadata) -> None:
    other = (await pair.single.create_key()).key_metadata
    texts = [b"text %d" % number for number in range(CROWD // 4)]
    blobs = await sealed(pair.single, key.key_id, texts) + await sealed(pair.single, other.key_id, texts)
    await pair.single.rotate_key_on_demand(key.key_id)
    blobs += await sealed(pair.single, key.key_id, texts) + await sealed(pair.single, other.key_id, texts)
    replies = await pair.crowd(
        partial(Client.decrypt, ciphertext_blob=blob, encryption_context=CONTEXT) for blob in blobs
    )
    assert replies == [await pair.single.decrypt(blob, encryption_context=CONTEXT) for blob in blobs]
    assert [said(reply)["plaintext"] for reply in replies] == texts * 4
    assert len({said(reply)["key_material_id"] for reply in replies}) == 3


async def test_re_encrypt_answers_as_singly(pair: Pair, key: KeyMetadata) -> None:
    other = (await pair.single.create_key()).key_metadata
    blobs = await sealed(pair.single, key.key_id, [b"x"] * CROWD)
    move: Callable[..., Call[Reply]] = partial(
        partial,
        Client.re_encrypt,
        destination_key_id=other.arn,
        source_encryption_context=CONTEXT,
        destination_encryption_context={"table": "archive"},
    )
    replies = await pair.crowd(move(ciphertext_blob=blob) for blob in blobs)
    expected = said(await move(ciphertext_blob=blobs[0])(pair.single), "ciphertext_blob")
    assert [said(reply, "ciphertext_blob") for reply in replies] == [expected] * CROWD


async def test_data_keys_answer_as_singly(pair: Pair, key: KeyMetadata) -> None:
    random = ("ciphertext_blob", "plaintext")
    call = partial(Client.generate_data_key, key_id=key.key_id, key_spec="AES_256", encryption_context=CONTEXT)
    replies = await pair.crowd([call] * CROWD)
    expected = said(await call(pair.single), *random)
    assert [said(reply, *random) for reply in replies] == [expected] * CROWD
    assert len({said(reply)["plaintext"] for reply in replies}) == CROWD
    blob, plaintext = (said(replies[-1])[name] for name in random)
    assert isinstance(blob, bytes)
    assert (await pair.single.decrypt(blob, encryption_context=CONTEXT)).plaintext == plaintext


async def test_wrapped_data_keys_answer_as_singly(pair: Pair, key: KeyMetadata) -> None:
    call = partial(Client.generate_data_key_without_plaintext, key_id=key.key_id, number_of_bytes=16)
    replies = await pair.crowd([call] * CROWD)
    expected = said(await call(pair.single), "ciphertext_blob")
    assert [said(reply, "ciphertext_blob") for reply in replies] == [expected] * CROWD


async def test_macs_are_the_same(pair: Pair) -> None:
    key = (await pair.single.create_key(key_spec="HMAC_256", key_usage="GENERATE_VERIFY_MAC")).key_metadata
    calls = [
        partial(Client.generate_mac, message=b"%d" % number, key_id=key.key_id, mac_algorithm="HMAC_SHA_256")
        for number in range(CROWD)
    ]
    assert await pair.crowd(calls) == [await call(pair.single) for call in calls]


async def test_contexts_that_differ_are_bound_each_to_its_own(pair: Pair, key: KeyMetadata) -> None:
    contexts = [None, {}, *({"row": str(number)} for number in range(CROWD))]
    replies = await pair.crowd(
        partial(Client.encrypt, key_id=key.key_id, plaintext=b"x", encryption_context=context) for context in contexts
    )
    blobs = [reply.ciphertext_blob for reply in replies if not isinstance(reply, BaseException)]
    wrong = [{"row": "another"}, *contexts[1:]]
    opened = await pair.crowd(
        partial(Client.decrypt, ciphertext_blob=blob, encryption_context=context)
        for blob, context in zip(blobs, wrong, strict=True)
    )
    assert isinstance(opened[0], InvalidCiphertextException)
    assert [said(reply)["plaintext"] for reply in opened[1:]] == [b"x"] * (CROWD + 1)


async def errors_match(pair: Pair, call: Call[Reply], kind: type[ServiceError]) -> None:
    """Check that a crowd of failing calls fails as one does alone."""
    with pytest.raises(kind) as alone:
        await call(pair.single)
    errors = await pair.crowd([call] * CROWD)
    assert {type(error) for error in errors} == {kind}
    assert {str(error) for error in errors} == {str(alone.value)}
    assert len({id(error) for error in errors}) == CROWD


async def test_errors_of_the_key_are_those_of_a_single_call(pair: Pair, key: KeyMetadata) -> None:
    encrypt = partial(Client.encrypt, plaintext=b"x")
    (blob,) = await sealed(pair.single, key.key_id, [b"x"])
    other = (await pair.single.create_key(key_spec="RSA_2048", key_usage="ENCRYPT_DECRYPT")).key_metadata
    await errors_match(pair, partial(encrypt, key_id="alias/there-is-none"), NotFoundException)
    await errors_match(pair, partial(encrypt, key_id=other.key_id), InvalidKeyUsageException)
    await errors_match(pair, partial(Client.decrypt, ciphertext_blob=b"no blob"), InvalidCiphertextException)
    await pair.single.disable_key(key.key_id)
    await errors_match(pair, partial(encrypt, key_id=key.key_id), DisabledException)
    await errors_match(
        pair, partial(Client.decrypt, ciphertext_blob=blob, encryption_context=CONTEXT), DisabledException
    )


async def test_a_blob_of_another_key_fails_alone(pair: Pair, key: KeyMetadata) -> None:
    other = (await pair.single.create_key()).key_metadata
    blobs = await sealed(pair.single, key.key_id, [b"x"] * CROWD) + await sealed(pair.single, other.key_id, [b"x"])
    replies = await pair.crowd(
        partial(Client.decrypt, ciphertext_blob=blob, key_id=key.key_id, encryption_context=CONTEXT) for blob in blobs
    )
    assert isinstance(replies[-1], IncorrectKeyException)
    assert [said(reply)["plaintext"] for reply in replies[:-1]] == [b"x"] * CROWD


def allow(policy: str, key: KeyMetadata, name: str) -> str:
    """Return `policy`, which then lets the user `name` encrypt."""
    document = json.loads(policy)
    user = key.arn.partition(":key/")[0].replace(":kms:local:", ":iam::") + f":user/{name}"
    statement = {"Effect": "Allow", "Principal": {"AWS": user}, "Action": "kms:Encrypt", "Resource": "*"}
    return json.dumps({**document, "Statement": [*document["Statement"], statement]})


async def test_who_may_send_no_batches_gets_single_answers(
    pair: Pair, key: KeyMetadata, principals: dict[str, str]
) -> None:
    policy = (await pair.single.get_key_policy(key.key_id)).policy
    await pair.single.put_key_policy(key.key_id, allow(policy or "", key, "enc"))
    async with Client(principals["enc"]) as producer:
        counting = counted(producer)
        replies = await asyncio.gather(*(producer.encrypt(key.key_id, b"x") for _ in range(CROWD)))
        assert {reply.key_id for reply in replies} == {key.arn}
        assert 1 <= counting.sent.pop(Operation.BATCH_ENCRYPT) <= 2
        assert counting.sent == {Operation.ENCRYPT: CROWD}
        await asyncio.gather(*(producer.encrypt(key.key_id, b"x") for _ in range(CROWD)))
        assert counting.sent == {Operation.ENCRYPT: 2 * CROWD}
        refused = await asyncio.gather(*(producer.decrypt(b"x") for _ in range(CROWD)), return_exceptions=True)
    assert {type(error) for error in refused} == {RequestRefused}
    assert all("enc.Decrypt on it" in str(error) for error in refused)


async def test_whom_no_policy_allows_is_told_so_in_the_same_words(key: KeyMetadata, principals: dict[str, str]) -> None:
    async with Client(principals["carol"], coalesce=False) as single, Client(principals["carol"]) as together:
        carol = Pair(single, together, counted(together))
        await errors_match(carol, partial(Client.encrypt, key_id=key.arn, plaintext=b"x"), AccessDeniedException)


async def test_ten_thousand_tasks_are_served_in_few_messages(pair: Pair, key: KeyMetadata) -> None:
    async def there_and_back(number: int) -> None:
        text = b"%d" % number
        blob = (await pair.together.encrypt(key.key_id, text)).ciphertext_blob
        assert (await pair.together.decrypt(blob)).plaintext == text

    await asyncio.gather(*map(there_and_back, range(10_000)))
    assert pair.counting.sent.total() < 1_000


async def test_calls_outlive_a_killed_worker_and_a_lost_connection(lone: PrivateStack) -> None:
    async with running(lone, 2) as (victim, _), Client(lone.administrator_url, timeout_seconds=60) as client:
        key_id = (await client.create_key()).key_metadata.key_id
        counting = counted(client)

        over = asyncio.Event()

        async def go_on(number: int) -> int:
            """Make round trips until the accidents are over, and one more; return how many."""
            trips, is_last = 0, False
            while not is_last:
                is_last = over.is_set()
                blob = (await client.encrypt(key_id, b"%d" % number)).ciphertext_blob
                assert (await client.decrypt(blob)).plaintext == b"%d" % number
                trips += 1
            return trips

        crowd = [asyncio.create_task(go_on(number)) for number in range(500)]
        await asyncio.sleep(0.5)
        await asyncio.to_thread(victim.kill)
        await asyncio.to_thread(lone.broker.ctl, "close_all_user_connections", ADMINISTRATOR, "test")
        over.set()
        trips = await asyncio.gather(*crowd)
        assert min(trips) > 1
        assert counting.sent.total() < sum(trips)  # each has two calls
