"""The chapters of the demo. Each gets the running stack, an administrator's client and the story to tell."""

import asyncio
import hashlib
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from cryptography.hazmat.bindings import _rust
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from demo.story import Story
from kmsq import Client, errors
from services import PrivateStack
from services.stack import AUDITOR
from services.worker import Worker

ALIAS = "alias/demo"
CONTEXT = {"purpose": "demo", "file": "README.md"}
LARGE_FILE = Path(_rust.__file__)  # a real one of some MB that is always there: the cryptography library itself
STREAM_REQUESTS = 3_000
STREAM_TASKS = 100
IV_BYTES = 12  # 96 bits, NIST SP 800-38D §8.2.2
TAIL_RECORDS = 6


@dataclass(frozen=True, slots=True)
class Scene:
    """Where the demo plays."""

    stack: PrivateStack
    admin: Client
    story: Story
    folder: Path

    @property
    def workers(self) -> tuple[Worker, Worker]:
        """The two workers."""
        first, second = self.stack.workers
        return first, second

    async def drain(self, worker: Worker) -> None:
        """Stop a worker the polite way and wait for its end."""
        await asyncio.to_thread(worker.terminate)
        await asyncio.to_thread(worker.stop)

    async def start(self, worker: Worker) -> None:
        """Start a worker and wait until it is ready."""
        await asyncio.to_thread(worker.start)


async def create_key(scene: Scene) -> str:
    """A CMK and its name; the account policy lets producers ask for random bytes."""
    scene.story.chapter("1. A customer master key")
    created = await scene.admin.create_key(description="the demo's key")
    key_id = created.key_metadata.key_id
    await scene.admin.create_alias(ALIAS, key_id)
    described = (await scene.admin.describe_key(ALIAS)).key_metadata
    scene.story.holds(f"created {described.arn}", described.key_id == key_id)
    scene.story.holds(f"{ALIAS} points at it, and it is {described.key_state}", described.enabled)
    return key_id


async def encrypt_lines(scene: Scene, text_file: Path) -> list[bytes]:
    """Every line of a text file: sealed by one worker, opened by the other."""
    scene.story.chapter(f"2. Every line of {text_file.name}, sealed by one worker and opened by the other")
    first, second = scene.workers
    lines = _lines(text_file)
    await scene.drain(second)
    sealed = await asyncio.gather(
        *(scene.admin.encrypt(ALIAS, line, encryption_context=CONTEXT) for line in lines),
    )
    scene.story.holds(f"worker 1 sealed {len(lines)} lines, while worker 2 was stopped")
    await scene.start(second)
    await scene.drain(first)
    opened = await asyncio.gather(
        *(scene.admin.decrypt(one.ciphertext_blob, encryption_context=CONTEXT) for one in sealed),
    )
    same = [one.plaintext for one in opened] == lines
    scene.story.holds("worker 2 opened them all, while worker 1 was stopped, and they are the same", same)
    distinct = len({one.ciphertext_blob for one in sealed})
    scene.story.holds("no two blobs are alike, although lines are", distinct == len(lines))
    await scene.start(first)
    return [one.ciphertext_blob for one in sealed]


async def envelope(scene: Scene) -> None:
    """A large file with a data key: encrypted on the producer's side, the plaintext key thrown away."""
    size = _size(LARGE_FILE)
    scene.story.chapter(f"3. A file of {size / 1_000_000:.0f} MB, with a data key")
    data_key = await scene.admin.generate_data_key(ALIAS, key_spec="AES_256", encryption_context=CONTEXT)
    _encrypt_file(LARGE_FILE, scene.folder / "file.encrypted", data_key.plaintext)
    wrapped = data_key.ciphertext_blob
    del data_key
    scene.story.holds("encrypted here with a fresh data key; of the key only its wrapped form was kept")
    unwrapped = await scene.admin.decrypt(wrapped, encryption_context=CONTEXT)
    _decrypt_file(scene.folder / "file.encrypted", scene.folder / "file", unwrapped.plaintext)
    digest = _digest(scene.folder / "file")
    same = digest == _digest(LARGE_FILE)
    scene.story.holds(f"kmsq unwrapped the key and the file is back, SHA-256 {digest[:16]}…", same)


def _size(path: Path) -> int:
    return path.stat().st_size


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _encrypt_file(source: Path, target: Path, key: bytes) -> None:
    iv = os.urandom(IV_BYTES)
    target.write_bytes(iv + AESGCM(key).encrypt(iv, source.read_bytes(), None))


def _decrypt_file(source: Path, target: Path, key: bytes) -> None:
    raw = source.read_bytes()
    target.write_bytes(AESGCM(key).decrypt(raw[:IV_BYTES], raw[IV_BYTES:], None))


def _lines(path: Path) -> list[bytes]:
    return [line for line in path.read_bytes().splitlines(keepends=True) if line.strip()]


async def rotate(scene: Scene, key_id: str, old_blobs: list[bytes]) -> None:
    """New material for what comes, the old one for what was."""
    scene.story.chapter("4. Rotation")
    before = await scene.admin.decrypt(old_blobs[0], encryption_context=CONTEXT)
    await scene.admin.rotate_key_on_demand(key_id)
    after = await scene.admin.decrypt(old_blobs[0], encryption_context=CONTEXT)
    fresh = await scene.admin.encrypt(ALIAS, b"after the rotation", encryption_context=CONTEXT)
    opened = await scene.admin.decrypt(fresh.ciphertext_blob, encryption_context=CONTEXT)
    scene.story.holds("a blob from before the rotation still opens", before.plaintext == after.plaintext)
    scene.story.holds(
        "new blobs are made with new key material, and name it themselves",
        opened.key_material_id != after.key_material_id and opened.plaintext == b"after the rotation",
    )


async def refusals(scene: Scene, key_id: str, blob: bytes) -> None:
    """What must not work."""
    scene.story.chapter("5. What is refused")
    story, admin = scene.story, scene.admin
    with story.refused("another encryption context", errors.InvalidCiphertextException):
        await admin.decrypt(blob, encryption_context={**CONTEXT, "file": "other.md"})
    damaged = blob[:-1] + bytes((blob[-1] ^ 1,))
    with story.refused("one flipped bit", errors.InvalidCiphertextException):
        await admin.decrypt(damaged, encryption_context=CONTEXT)
    await admin.disable_key(key_id)
    with story.refused("a disabled key", errors.DisabledException):
        await admin.encrypt(ALIAS, b"secret")
    await admin.enable_key(key_id)
    mallory_url = await asyncio.to_thread(scene.stack.add_producer, "mallory", ["Encrypt"])
    async with Client(mallory_url) as mallory:
        with story.refused("a principal whom no policy allows", errors.AccessDeniedException):
            await mallory.encrypt(key_id, b"secret")
        with story.refused("an operation that the broker does not let through", errors.RequestRefused):
            await mallory.decrypt(blob)


async def kill_a_worker(scene: Scene) -> None:
    """SIGKILL in the middle of a stream of requests."""
    scene.story.chapter("6. A worker is killed (SIGKILL) in the middle of a stream of requests")
    first, _ = scene.workers
    numbers = count()
    answered: dict[int, bytes] = {}
    a_third = asyncio.Event()

    async def produce() -> None:
        while (number := next(numbers)) < STREAM_REQUESTS:
            sealed = await scene.admin.encrypt(ALIAS, b"%d" % number, encryption_context=CONTEXT)
            answered[number] = sealed.ciphertext_blob
            if len(answered) >= STREAM_REQUESTS // 3:
                a_third.set()

    async with asyncio.TaskGroup() as group:
        for _ in range(STREAM_TASKS):
            group.create_task(produce())
        await a_third.wait()
        at_the_kill = len(answered)
        await asyncio.to_thread(first.kill)
    scene.story.holds(f"killed worker 1 after {at_the_kill} replies", at_the_kill < STREAM_REQUESTS)
    scene.story.holds(f"all {STREAM_REQUESTS} requests were answered", len(answered) == STREAM_REQUESTS)
    sample = list(answered)[:: STREAM_REQUESTS // 100]
    opened = await asyncio.gather(
        *(scene.admin.decrypt(answered[number], encryption_context=CONTEXT) for number in sample),
    )
    right = all(one.plaintext == b"%d" % number for number, one in zip(sample, opened, strict=True))
    scene.story.holds(f"{len(sample)} of the blobs, opened, hold what was sealed", right)
    await scene.start(first)


async def audit_log(scene: Scene) -> None:
    """What was done is on record, and the record is whole."""
    scene.story.chapter("7. The audit log")
    auditor = {"KMSQ_DATABASE_URL": scene.stack.database_url(AUDITOR)}
    run: Callable[..., Awaitable[str]] = lambda *words: asyncio.to_thread(  # noqa: E731  # shorter than its definition
        scene.stack.kmsq_worker, *words, environment=auditor
    )
    report = json.loads(await run("audit", "verify", "--output", "json"))
    scene.story.holds(
        f"{report['records']} records in {report['chains']} chains and {report['rows']} rows verify", report["sound"]
    )
    for line in (await run("audit", "tail", "-n", str(TAIL_RECORDS))).splitlines():
        record = json.loads(line)
        shown = (record.get(name) for name in ("recorded_at", "principal", "operation", "event", "outcome"))
        print("    " + "  ".join(str(value) for value in shown if value is not None))
