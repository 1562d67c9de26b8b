"""The client and the command against the whole service: broker, database, two workers."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from kmsq import Client, ContentType
from kmsq.errors import (
    AccessDeniedException,
    DisabledException,
    InvalidCiphertextException,
    KMSInvalidStateException,
    NotFoundException,
    RequestRefused,
)
from services.stack import PrivateStack

KMSQ = Path(sys.executable).parent / "kmsq"


@pytest.mark.parametrize("content_type", list(ContentType))
async def test_a_key_does_its_work(stack: PrivateStack, content_type: ContentType) -> None:
    async with Client(stack.administrator_url, content_type=content_type) as client:
        key = (await client.create_key(description="client test")).key_metadata
        alias = f"alias/client-{key.key_id}"
        await client.create_alias(alias, key.key_id)
        context = {"order": "17"}
        sealed = await client.encrypt(alias, b"secret", encryption_context=context)
        await client.rotate_key_on_demand(key.key_id)
        assert (await client.decrypt(sealed.ciphertext_blob, encryption_context=context)).plaintext == b"secret"
        with pytest.raises(InvalidCiphertextException):
            await client.decrypt(sealed.ciphertext_blob)
        moved = await client.re_encrypt(sealed.ciphertext_blob, alias, source_encryption_context=context)
        assert (await client.decrypt(moved.ciphertext_blob)).plaintext == b"secret"
        made = await client.generate_data_key(alias, key_spec="AES_256")
        assert (await client.decrypt(made.ciphertext_blob)).plaintext == made.plaintext
        await client.generate_data_key_without_plaintext(alias, number_of_bytes=16)
        assert len((await client.generate_random(32)).plaintext) == 32
        assert len([rotation async for rotation in client.iter_key_rotations(key.key_id)]) == 1


async def test_a_key_lives_and_dies(stack: PrivateStack) -> None:
    async with Client(stack.administrator_url) as client:
        key = (await client.create_key()).key_metadata
        await client.update_key_description(key.key_id, "new")
        assert (await client.describe_key(key.arn)).key_metadata.description == "new"
        assert key.key_id in [entry.key_id async for entry in client.iter_keys(page_size=2)]
        await client.disable_key(key.key_id)
        with pytest.raises(DisabledException):
            await client.encrypt(key.key_id, b"x")
        await client.enable_key(key.key_id)
        await client.schedule_key_deletion(key.key_id, pending_window_in_days=7)
        with pytest.raises(KMSInvalidStateException):
            await client.encrypt(key.key_id, b"x")
        await client.cancel_key_deletion(key.key_id)


async def test_names_and_policies_change(stack: PrivateStack) -> None:
    async with Client(stack.administrator_url) as client:
        key = (await client.create_key()).key_metadata
        other = (await client.create_key()).key_metadata
        alias = f"alias/names-{key.key_id}"
        await client.create_alias(alias, key.key_id)
        await client.update_alias(alias, other.key_id)
        assert [found.alias_name async for found in client.iter_aliases(key_id=other.key_id)] == [alias]
        await client.delete_alias(alias)
        with pytest.raises(NotFoundException):
            await client.describe_key(alias)
        policy = (await client.get_key_policy(key.key_id)).policy
        await client.put_key_policy(key.key_id, policy)
        await client.put_account_policy((await client.get_account_policy()).policy)


async def test_what_the_broker_allows_the_policy_may_deny(stack: PrivateStack) -> None:
    url = await asyncio.to_thread(stack.add_producer, "client-test", ["Encrypt"])
    async with Client(stack.administrator_url) as client, Client(url) as producer:
        key = (await client.create_key()).key_metadata
        with pytest.raises(AccessDeniedException):
            await producer.encrypt(key.key_id, b"x")
        with pytest.raises(RequestRefused):
            await producer.decrypt(b"x")


async def test_many_calls_at_once_all_get_their_own_answer(stack: PrivateStack) -> None:
    async with Client(stack.administrator_url) as client:
        key = (await client.create_key()).key_metadata
        texts = [f"line {number}".encode() for number in range(2000)]
        sealed = await asyncio.gather(*(client.encrypt(key.key_id, text) for text in texts))
        opened = await asyncio.gather(*(client.decrypt(reply.ciphertext_blob) for reply in sealed))
        assert [reply.plaintext for reply in opened] == texts


async def test_the_doctor_finds_a_whole_service_healthy(stack: PrivateStack) -> None:
    def run() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [KMSQ, "doctor"],
            env={"KMSQ_AMQP_URL": stack.administrator_url},
            capture_output=True,
            text=True,
            check=False,
        )

    done = await asyncio.to_thread(run)
    assert done.returncode == 0, done.stdout
    assert all(check["Ok"] is not False for check in json.loads(done.stdout))


async def test_a_change_may_be_given_more_than_an_hour(stack: PrivateStack) -> None:
    async with Client(stack.administrator_url) as client:
        assert (await client.create_key(timeout_seconds=100_000)).key_metadata.enabled
