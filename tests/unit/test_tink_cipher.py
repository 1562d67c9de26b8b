"""What both Tink and pyarrow encrypt and decrypt with: one client for each URL, and replies that are looked at."""

from collections.abc import Callable
from contextlib import nullcontext

import pytest

from kmsq.client import Client
from kmsq.errors import InvalidReply
from kmsq.integrations.blocking import BlockingClient, shared_client
from kmsq.integrations.cipher import Cipher, Timeouts
from kmsq_schemas.models import GenerateRandomReply, Reply, Request
from kmsq_schemas.operations import Operation

URL = "amqp://alice:hunter2@127.0.0.1:5672/"


class Scripted:
    """A transport that always answers the same."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.timeouts: list[float] = []

    async def call(self, operation: Operation, request: Request, *, timeout_seconds: float) -> Reply:  # noqa: ARG002
        self.timeouts.append(timeout_seconds)
        return self._reply


class ScriptedClient(Client):
    def __init__(self, transport: Scripted) -> None:
        self._prepare(lambda: nullcontext(transport), principal="alice", timeout_seconds=1)


def opened(cipher: Cipher) -> bytes:
    return cipher.decrypt(b"blob", key_id=None, encryption_context={})


def sealed(cipher: Cipher) -> bytes:
    return cipher.encrypt("alias/orders", b"x", encryption_context={})


@pytest.mark.parametrize("do", [sealed, opened])
def test_a_reply_to_something_else_is_refused(do: Callable[[Cipher], bytes]) -> None:
    transport = Scripted(GenerateRandomReply(plaintext=b"x"))
    blocking = BlockingClient(lambda _seconds: ScriptedClient(transport))
    with pytest.raises(InvalidReply):
        do(Cipher(blocking, timeouts=Timeouts(call_seconds=3)))
    blocking.close()
    assert transport.timeouts == [3]


def test_there_is_one_client_for_each_url_and_workers_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KMSQ_AMQP_URL", URL)
    assert shared_client(None) is shared_client(URL)
    assert shared_client("amqp://bob:hunter2@127.0.0.1:5672/") is not shared_client(URL)
    before = shared_client(URL)
    monkeypatch.setenv("KMSQ_WORKER_USER", "others")
    assert shared_client(URL) is not before
    assert shared_client(before) is before
