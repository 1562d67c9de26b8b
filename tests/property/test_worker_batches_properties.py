"""
Each item of a batch ends as the single operation would: the same result, or the same error in the same words.

Two exceptions hold for whole batches, and the laws name them. Who may do nothing with a key, or names one that cannot
be used, is told so once. And the lengths of items, which the single operations' models refuse unseen, fail after the
policy's decision.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fakes.batching import (
    ACCOUNT_POLICIES,
    GRANTED,
    RULES,
    SPOILT,
    STATES,
    Context,
    Failure,
    Kind,
    Sealed,
    World,
    failure,
    failures,
)
from fakes.database import ACCOUNT
from kmsq_schemas import models
from kmsq_schemas.models import ErrorReply, Reply, Request
from kmsq_schemas.models.enums import DataKeySpec

INVALID: Failure = ("InvalidCiphertextException", "")
REPEATED: Failure = ("ValidationException", "The item's own EncryptionContext repeats a key of the shared one.")
DENIED = "AccessDeniedException"
STATE_ERRORS = {"DisabledException", "KMSInvalidStateException", "InvalidKeyUsageException"}
NAMES: dict[str, Callable[[str], str]] = {"id": str, "ARN": ACCOUNT.key_arn, "alias": "alias/{}".format}

world_of = cache(World.under)
worlds = st.sampled_from(ACCOUNT_POLICIES).map(world_of)
states = st.sampled_from(["enabled", "rotated", "enabled", "rotated", *STATES])
kinds = st.one_of(
    st.builds(Kind, states, st.sampled_from([*RULES]), st.just("")),
    st.builds(Kind, states, st.sampled_from(["not allowed", "app x denied"]), st.sampled_from(GRANTED)),
)
# Few keys, contexts and names in one example: what items share is what could be confused.
pools = st.tuples(kinds, kinds)
places = st.integers(0, 1)
names = st.sampled_from([*NAMES])
contexts = st.sampled_from(
    [{}, {"app": "x"}, {"app": "y"}, {"stage": "y", "app": "x"}, {"App": "x", "ü": ""}, {"b": "1"}, {"ü": "", "c": "2"}]
)
shared_contexts = st.none() | contexts
own_contexts = st.none() | contexts
damages = st.sampled_from([""] * len(SPOILT) + [*SPOILT])
blobs = st.tuples(places, contexts, damages, st.booleans())
Blob = tuple[int, Context, str, bool]
Pool = tuple[Kind, Kind]
plaintexts = st.sampled_from([b"x", b"plain", bytes(4096), b"", bytes(4097)])


def made(world: World, pool: Pool, items: Sequence[Blob]) -> list[bytes]:
    """Return the items' blobs. What is in each is its place in the list, counted from 1."""
    sealed = [Sealed(pool[place], context, spoilt, latest) for place, context, spoilt, latest in items]
    return [world.blob(one, bytes([number])) for number, one in enumerate(sealed, 1)]


def together(shared: Context | None, own: Context | None) -> dict[str, str]:
    return {**(shared or {}), **(own or {})}


def repeats(shared: Context | None, own: Context | None) -> bool:
    return not (shared or {}).keys().isdisjoint(own or {})


def beside(shared: Context | None, own: Context | None) -> Context | None:
    """Return what of the own pairs repeats no shared one."""
    return None if own is None else {name: value for name, value in own.items() if name not in (shared or {})}


def ask(world: World, *messages: Request) -> Sequence[Reply]:
    return asyncio.run(world.ask(*messages))


def of_the_whole(each: Sequence[Failure]) -> Failure:
    """Return what a batch is told when no item may be or can be sealed: why the key cannot, else that nobody may."""
    of_the_key = [one for one in each if one != REPEATED and one[0] != DENIED]
    denied = [one for one in each if one[0] == DENIED]
    return (of_the_key or denied or list(each))[0]


@given(
    world=worlds,
    kind=kinds,
    name=names,
    shared=shared_contexts,
    items=st.lists(st.tuples(plaintexts, own_contexts), min_size=1, max_size=7),
)
def test_each_item_of_batch_encrypt_ends_as_encrypt_would(
    *, world: World, kind: Kind, name: str, shared: Context | None, items: list[tuple[bytes, Context | None]]
) -> None:
    key_id = NAMES[name](world.key_id(kind))
    fits = [1 <= len(plaintext) <= 4096 for plaintext, _ in items]
    batch, *singles = ask(
        world,
        models.BatchEncryptRequest(
            key_id=key_id,
            plaintexts=[plaintext for plaintext, _ in items],
            encryption_context=shared,
            encryption_contexts=[own for _, own in items],
        ),
        *(
            models.EncryptRequest(key_id=key_id, plaintext=b"x", encryption_context=together(shared, own))
            for _, own in items
        ),
    )
    each = [REPEATED if repeats(shared, own) else failure(one) for (_, own), one in zip(items, singles, strict=True)]
    failed = [one for one in each if one is not None]
    if len(failed) == len(each):
        assert failure(batch) == of_the_whole(failed)
        return
    assert isinstance(batch, models.BatchEncryptReply)
    for index, (plaintext, own) in enumerate(items):
        got, blob = failures(batch.failed, len(items))[index], batch.ciphertext_blobs[index]
        if each[index] is not None or not fits[index]:
            length = f"Plaintext has {len(plaintext)} bytes; 1 to 4096 are allowed."
            assert got == (each[index] or ("ValidationException", length))
            assert blob is None
        else:
            assert got is None
            assert world.opened(blob, together(shared, own)) == plaintext


@given(world=worlds, kind=kinds, name=names, shared=shared_contexts, own=st.lists(own_contexts, min_size=1, max_size=7))
def test_each_item_of_batch_generate_data_key_ends_as_generate_data_key_would(
    *, world: World, kind: Kind, name: str, shared: Context | None, own: list[Context | None]
) -> None:
    key_id = NAMES[name](world.key_id(kind))
    batch, *singles = ask(
        world,
        models.BatchGenerateDataKeyRequest(
            key_id=key_id,
            number_of_keys=len(own),
            key_spec=DataKeySpec.AES_128,
            encryption_context=shared,
            encryption_contexts=own,
        ),
        *(
            models.GenerateDataKeyRequest(
                key_id=key_id, key_spec=DataKeySpec.AES_128, encryption_context=together(shared, pairs)
            )
            for pairs in own
        ),
    )
    each = [REPEATED if repeats(shared, pairs) else failure(one) for pairs, one in zip(own, singles, strict=True)]
    failed = [one for one in each if one is not None]
    if len(failed) == len(each):
        assert failure(batch) == of_the_whole(failed)
        return
    assert isinstance(batch, models.BatchGenerateDataKeyReply)
    assert failures(batch.failed, len(own)) == each
    for pairs, why, blob, key in zip(own, each, batch.ciphertext_blobs, batch.plaintexts, strict=True):
        assert (blob is None) == (key is None) == (why is not None)
        if key is not None:
            assert len(key) == 16
            assert world.opened(blob, together(shared, pairs)) == key


def single_of(single: type[Any], blob: bytes, **fields: Any) -> Request | None:
    """Return the single request, None for a blob of a length that its model refuses."""
    field = {"ciphertext_blob": blob}
    return single(**field, **fields) if 1 <= len(blob) <= 6144 else None


def answered(world: World, batch: Request, singles: Sequence[Request | None]) -> tuple[Reply, Sequence[Reply]]:
    """Ask for all of them at once; what could not be asked is invalid."""
    reply, *replies = ask(world, batch, *(one for one in singles if one is not None))
    waiting = iter(replies)
    invalid = ErrorReply(code=INVALID[0], message=INVALID[1])
    return reply, [invalid if one is None else next(waiting) for one in singles]


@given(
    world=worlds,
    pool=pools,
    insisted=st.none() | st.tuples(places, names),
    shared=shared_contexts,
    items=st.lists(st.tuples(blobs, own_contexts), min_size=1, max_size=7),
)
def test_each_item_of_batch_decrypt_ends_as_decrypt_would(
    *,
    world: World,
    pool: Pool,
    insisted: tuple[int, str] | None,
    shared: Context | None,
    items: list[tuple[Blob, Context | None]],
) -> None:
    key_id = None if insisted is None else NAMES[insisted[1]](world.key_id(pool[insisted[0]]))
    sealed = made(world, pool, [blob for blob, _ in items])
    own = [beside(shared, pairs) for _, pairs in items]
    batch, singles = answered(
        world,
        models.BatchDecryptRequest(
            ciphertext_blobs=sealed, key_id=key_id, encryption_context=shared, encryption_contexts=own
        ),
        [
            single_of(models.DecryptRequest, blob, key_id=key_id, encryption_context=together(shared, pairs))
            for blob, pairs in zip(sealed, own, strict=True)
        ],
    )
    assert isinstance(batch, models.BatchDecryptReply)
    assert failures(batch.failed, len(items)) == [failure(one) for one in singles]
    used = set()
    for single, plaintext, index in zip(singles, batch.plaintexts, batch.key_material_indexes, strict=True):
        if isinstance(single, models.DecryptReply):
            assert index is not None
            used.add(index)
            material = batch.key_materials[index]
            assert plaintext == single.plaintext
            assert (material.key_id, material.key_material_id) == (single.key_id, single.key_material_id)
        else:
            assert (plaintext, index) == (None, None)
    assert used == set(range(len(batch.key_materials)))


@given(
    world=worlds,
    pool=pools,
    insisted=st.none() | places,
    destination=st.tuples(places, names),
    shared=st.tuples(shared_contexts, shared_contexts),
    items=st.lists(st.tuples(blobs, own_contexts, own_contexts), min_size=1, max_size=7),
)
def test_each_item_of_batch_re_encrypt_ends_as_re_encrypt_would(
    *,
    world: World,
    pool: Pool,
    insisted: int | None,
    destination: tuple[int, str],
    shared: tuple[Context | None, Context | None],
    items: list[tuple[Blob, Context | None, Context | None]],
) -> None:
    keys: dict[str, Any] = {
        "source_key_id": None if insisted is None else world.key_id(pool[insisted]),
        "destination_key_id": NAMES[destination[1]](world.key_id(pool[destination[0]])),
    }
    sealed = made(world, pool, [blob for blob, _, _ in items])
    sources = [beside(shared[0], pairs) for _, pairs, _ in items]
    destinations = [beside(shared[1], pairs) for _, _, pairs in items]
    batch, singles = answered(
        world,
        models.BatchReEncryptRequest(
            ciphertext_blobs=sealed,
            source_encryption_context=shared[0],
            source_encryption_contexts=sources,
            destination_encryption_context=shared[1],
            destination_encryption_contexts=destinations,
            **keys,
        ),
        [
            single_of(
                models.ReEncryptRequest,
                blob,
                source_encryption_context=together(shared[0], source),
                destination_encryption_context=together(shared[1], into),
                **keys,
            )
            for blob, source, into in zip(sealed, sources, destinations, strict=True)
        ],
    )
    each = [failure(one) for one in singles]
    # What is permitted is told the state of a key before its blob is opened, of the source's first.
    permitted = [one for one in each if one is not None and one[0] in STATE_ERRORS]
    if permitted and not pool[destination[0]].is_usable:
        arn = ACCOUNT.key_arn(world.key_id(pool[destination[0]]))
        assert isinstance(batch, ErrorReply)
        assert batch.code in STATE_ERRORS
        assert batch.message.startswith(f"{arn} ")
        assert None not in each
        return
    assert isinstance(batch, models.BatchReEncryptReply)
    assert failures(batch.failed, len(items)) == each
    for number, single in enumerate(singles):
        blob, index = batch.ciphertext_blobs[number], batch.source_key_material_indexes[number]
        if isinstance(single, models.ReEncryptReply):
            assert index is not None
            source = batch.source_key_materials[index]
            assert (source.key_id, source.key_material_id) == (single.source_key_id, single.source_key_material_id)
            assert batch.key_id == single.key_id
            assert batch.destination_key_material_id == single.destination_key_material_id
            assert world.opened(blob, together(shared[1], destinations[number])) == bytes([number + 1])
        else:
            assert (blob, index) == (None, None)
