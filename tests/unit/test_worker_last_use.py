"""What counts as the use of a key."""

from fakes.database import Database
from fakes.deliveries import request
from fakes.workers import turn_lane
from kmsq_schemas.models import BatchDecryptRequest, BatchEncryptReply, BatchEncryptRequest, Request
from kmsq_worker.last_use import LastUses
from kmsq_worker.store.rows import LastUseRow


class Recorded:
    """Where uses are recorded, in memory."""

    def __init__(self) -> None:
        self.uses: dict[str, LastUseRow] = {}

    async def note_last_use(self, slot: int, uses: dict[str, LastUseRow]) -> None:
        """Keep them; the slot is somebody else's matter."""
        assert slot == 0
        self.uses |= uses


async def uses_after(database: Database, asked: Request, principal: str) -> dict[str, str]:
    """Return which keys count as used, and for what, after one request."""
    lane = await turn_lane(database)
    await lane.run(request(asked, principal=principal))
    recorded = Recorded()
    last_uses = LastUses(uses=recorded, slot=0)
    for turn in lane.used:
        last_uses.note(turn)
    await last_uses.flush(everything=True)
    return {key_id: use.operation for key_id, use in recorded.uses.items()}


async def blobs(database: Database, key_id: str) -> list[bytes]:
    asked = BatchEncryptRequest(key_id=key_id, plaintexts=[b"x"])
    (reply,) = await (await turn_lane(database)).run(request(asked))
    assert isinstance(reply, BatchEncryptReply)
    return [blob for blob in reply.ciphertext_blobs if blob is not None]


async def test_a_batch_is_a_use_as_its_single_operation() -> None:
    database = Database()
    key_id = database.add_key().key_id
    asked = BatchEncryptRequest(key_id=key_id, plaintexts=[b"x", b""])
    assert await uses_after(database, asked, "alice") == {key_id: "Encrypt"}


async def test_a_key_that_a_batch_only_named_was_not_used() -> None:
    database = Database()
    mine, other = database.add_key().key_id, database.add_key().key_id
    sealed, named = await blobs(database, mine), await blobs(database, other)
    forged = named[0][:-1] + bytes([named[0][-1] ^ 1])
    asked = BatchDecryptRequest(ciphertext_blobs=[*sealed, forged])
    assert await uses_after(database, asked, "alice") == {mine: "Decrypt"}
    assert await uses_after(database, asked, "carol") == {}
