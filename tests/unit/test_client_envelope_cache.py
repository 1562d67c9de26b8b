"""The data-key cache: what it saves, and where it stops."""

import asyncio
import io
from collections.abc import AsyncGenerator, Mapping

import pytest

from kmsq import Client, DataKeyCache, Envelope
from kmsq.envelope import inspect, rewrap
from kmsq.errors import AccessDeniedException, InvalidCiphertextException, InvalidRequest
from kmsq.testing import FakeKms
from kmsq_schemas.models import DataKeySpec, GenerateDataKeyReply
from kmsq_schemas.operations import Operation

ALIAS = "alias/orders"
CONTEXT = {"order": "17"}


class Clock:
    """Seconds that pass when told."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def kms() -> FakeKms:
    return FakeKms()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def client(kms: FakeKms) -> AsyncGenerator[Client]:
    async with kms.client() as client:
        made = await client.create_key()
        await client.create_alias(ALIAS, made.key_metadata.key_id)
        yield client


def made(kms: FakeKms) -> int:
    return kms.calls[Operation.GENERATE_DATA_KEY]


def unwrapped(kms: FakeKms) -> int:
    return kms.calls[Operation.DECRYPT]


async def test_there_is_no_cache_unless_given(kms: FakeKms, client: Client) -> None:
    envelope = Envelope(client, ALIAS)
    sealed = [await envelope.encrypt(b"x") for _ in range(3)]
    assert [await envelope.decrypt(each) for each in sealed * 2] == [b"x"] * 6
    assert (made(kms), unwrapped(kms)) == (3, 6)


async def test_messages_share_a_data_key_but_never_a_message_key(kms: FakeKms, client: Client, clock: Clock) -> None:
    envelope = Envelope(client, ALIAS, cache=DataKeyCache(max_age_seconds=60, now=clock))
    sealed = [await envelope.encrypt(b"same", context=CONTEXT) for _ in range(50)]
    assert [await envelope.decrypt(each) for each in sealed] == [b"same"] * 50
    assert (made(kms), unwrapped(kms)) == (1, 1)
    headers = [inspect(io.BytesIO(each)) for each in sealed]
    assert len({header.wrapped_key for header in headers}) == 1
    assert len({header.salt for header in headers}) == len({header.commitment for header in headers}) == 50


async def test_other_keys_and_contexts_have_data_keys_of_their_own(kms: FakeKms, client: Client) -> None:
    cache = DataKeyCache(max_age_seconds=60)
    other = (await client.create_key()).key_metadata.key_id
    for key_id in (ALIAS, other):
        for context in ({}, CONTEXT, {"order": "18"}):
            for _ in range(2):
                await Envelope(client, key_id, cache=cache).encrypt(b"x", context=context)
    assert (made(kms), len(cache)) == (6, 6)


async def test_a_key_is_used_until_it_is_too_old_both_ways(kms: FakeKms, client: Client, clock: Clock) -> None:
    envelope = Envelope(client, ALIAS, cache=DataKeyCache(max_age_seconds=60, now=clock))
    sealed = await envelope.encrypt(b"x")
    await envelope.decrypt(sealed)
    clock.seconds = 59.9
    await envelope.encrypt(b"x")
    await envelope.decrypt(sealed)
    assert (made(kms), unwrapped(kms)) == (1, 1)
    clock.seconds = 60
    await envelope.encrypt(b"x")
    await envelope.decrypt(sealed)
    assert (made(kms), unwrapped(kms)) == (2, 2)


async def test_a_denial_is_noticed_when_the_key_is_too_old_and_not_before(
    kms: FakeKms, client: Client, clock: Clock
) -> None:
    envelope = Envelope(client, ALIAS, cache=DataKeyCache(max_age_seconds=60, now=clock))
    sealed = await envelope.encrypt(b"x")
    await envelope.decrypt(sealed)
    kms.deny("alice", Operation.DECRYPT)
    assert await envelope.decrypt(sealed) == b"x"
    clock.seconds = 60
    with pytest.raises(AccessDeniedException):
        await envelope.decrypt(sealed)


async def test_a_key_seals_only_so_many_messages_and_bytes(kms: FakeKms, client: Client) -> None:
    envelope = Envelope(client, ALIAS, cache=DataKeyCache(max_age_seconds=60, max_messages=3))
    for _ in range(7):
        await envelope.encrypt(b"x")
    assert made(kms) == 3
    kms.calls.clear()
    envelope = Envelope(client, ALIAS, cache=DataKeyCache(max_age_seconds=60, max_bytes=10))
    for size in (5, 5, 1, 9, 1, 11, 1):
        await envelope.encrypt(bytes(size))
    assert made(kms) == 5  # 5 + 5 | 1 + 9 | 1 | 11, which fits nowhere | 1
    await envelope.encrypt(bytes(9))
    assert made(kms) == 5


async def test_a_stream_has_a_data_key_of_its_own(kms: FakeKms, client: Client) -> None:
    envelope = Envelope(client, ALIAS, cache=DataKeyCache(max_age_seconds=60))
    await envelope.encrypt(b"x")
    target = io.BytesIO()
    await envelope.encrypt_stream(io.BytesIO(b"x"), target)
    assert made(kms) == 2
    for _ in range(2):
        await envelope.decrypt_stream(io.BytesIO(target.getvalue()), io.BytesIO())
    assert unwrapped(kms) == 1


async def test_a_cached_key_opens_only_what_the_service_would(kms: FakeKms, client: Client) -> None:
    envelope = Envelope(client, ALIAS, cache=DataKeyCache(max_age_seconds=60))
    sealed = await envelope.encrypt(b"x", context=CONTEXT)
    await envelope.decrypt(sealed)
    altered = sealed.replace(b"17", b"18")
    with pytest.raises(InvalidCiphertextException):  # asked for, since the context is another
        await envelope.decrypt(altered)
    other = (await client.create_key()).key_metadata.key_id
    moved = await rewrap(client, sealed, other)
    assert await envelope.decrypt(moved) == b"x"
    assert unwrapped(kms) == 3


async def test_clients_that_share_a_cache_do_not_share_keys(kms: FakeKms, client: Client) -> None:
    cache = DataKeyCache(max_age_seconds=60)
    mine = Envelope(client, ALIAS, cache=cache)
    sealed = await mine.encrypt(b"x")
    assert await mine.decrypt(sealed) == b"x"
    async with kms.client("bob") as bob:
        theirs = Envelope(bob, ALIAS, cache=cache)
        kms.fail_next(Operation.DECRYPT, AccessDeniedException())
        with pytest.raises(AccessDeniedException):
            await theirs.decrypt(sealed)
        await theirs.encrypt(b"x")
    assert made(kms) == 2


async def test_a_context_that_is_changed_while_a_call_waits_is_the_one_it_was_called_with(client: Client) -> None:
    answers = asyncio.Event()

    class Slow:
        async def generate_data_key(
            self,
            key_id: str,
            *,
            encryption_context: Mapping[str, str] | None = None,
            key_spec: DataKeySpec | str | None = None,
        ) -> GenerateDataKeyReply:
            await answers.wait()
            return await client.generate_data_key(key_id, encryption_context=encryption_context, key_spec=key_spec)

        decrypt = client.decrypt

    envelope = Envelope(Slow(), ALIAS, cache=DataKeyCache(max_age_seconds=60))
    context = dict(CONTEXT)
    waiting = asyncio.ensure_future(envelope.encrypt(b"x", context=context))
    await asyncio.sleep(0)
    context["order"] = "18"
    answers.set()
    assert await envelope.decrypt(await waiting, context=CONTEXT) == b"x"


async def test_the_least_recently_used_key_goes_first(kms: FakeKms, client: Client) -> None:
    cache = DataKeyCache(max_age_seconds=60, capacity=2)
    envelope = Envelope(client, ALIAS, cache=cache)
    for order in ("1", "2", "1", "3", "1"):
        await envelope.encrypt(b"x", context={"order": order})
    assert (made(kms), len(cache)) == (3, 2)
    await envelope.encrypt(b"x", context={"order": "2"})
    assert made(kms) == 4


async def test_old_keys_are_forgotten_when_another_is_fetched_and_all_when_told(client: Client, clock: Clock) -> None:
    cache = DataKeyCache(max_age_seconds=60, now=clock)
    envelope = Envelope(client, ALIAS, cache=cache)
    for order in ("1", "2", "3"):
        await envelope.encrypt(b"x", context={"order": order})
    clock.seconds = 60
    await envelope.encrypt(b"x", context={"order": "4"})
    assert (len(cache), repr(cache)) == (1, "<DataKeyCache of 1 keys>")
    cache.clear()
    assert len(cache) == 0


async def test_many_callers_at_once_wait_for_one_request(kms: FakeKms, client: Client) -> None:
    envelope = Envelope(client, ALIAS, cache=DataKeyCache(max_age_seconds=60))
    sealed = await asyncio.gather(*(envelope.encrypt(b"x") for _ in range(20)))
    await asyncio.gather(*(envelope.decrypt(each) for each in sealed))
    assert (made(kms), unwrapped(kms)) == (1, 1)


async def test_a_failed_request_is_not_remembered(kms: FakeKms, client: Client) -> None:
    envelope = Envelope(client, ALIAS, cache=DataKeyCache(max_age_seconds=60))
    kms.fail_next(Operation.GENERATE_DATA_KEY, AccessDeniedException())
    with pytest.raises(AccessDeniedException):
        await envelope.encrypt(b"x")
    assert await envelope.decrypt(await envelope.encrypt(b"x")) == b"x"


@pytest.mark.parametrize("limit", ["max_age_seconds", "max_messages", "max_bytes", "capacity"])
def test_limits_that_would_keep_nothing_are_refused(limit: str) -> None:
    with pytest.raises(ValueError, match="above zero"):
        DataKeyCache(**{"max_age_seconds": 60, limit: 0})  # type: ignore[arg-type]  # one of them by its name


def test_an_age_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="above zero"):
        DataKeyCache(max_age_seconds=float("nan"))  # which no age would ever exceed


async def test_without_a_key_an_envelope_decrypts_and_does_not_encrypt(kms: FakeKms, client: Client) -> None:
    sealed = await Envelope(client, ALIAS).encrypt(b"x")
    assert await Envelope(client).decrypt(sealed) == b"x"
    with pytest.raises(InvalidRequest, match="key_id"):
        await Envelope(client).encrypt(b"x")
    assert made(kms) == 1
