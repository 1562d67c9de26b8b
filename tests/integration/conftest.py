"""Marks every test of this folder as one that starts services, and shares two stacks among them."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from integration import evidence, raw
from integration.api import WAYS, Api, SharedKeys, Ways
from integration.api_openssl import OpenSSL
from integration.raw import Producer
from kmsq_schemas.operations import Operation
from services.stack import PrivateStack, private_stack

FOLDER = Path(__file__).parent
ENCRYPTING = (Operation.ENCRYPT, Operation.GENERATE_DATA_KEY, Operation.GENERATE_DATA_KEY_WITHOUT_PLAINTEXT)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Set the marker `integration` (the hook gets the items of all folders)."""
    for item in items:
        if item.path.is_relative_to(FOLDER):
            item.add_marker("integration")


@pytest.fixture(scope="session")
def principals(stack: PrivateStack) -> dict[str, str]:
    """Return the AMQP URLs of principals by name: `admin` and `carol` may send everything, others less."""
    allowed = {"carol": tuple(Operation), "enc": ENCRYPTING, "dec": (Operation.DECRYPT,)}
    with ThreadPoolExecutor() as pool:
        urls = dict(zip(allowed, pool.map(stack.add_producer, allowed, allowed.values()), strict=True))
    return {"admin": stack.administrator_url, **urls}


@pytest.fixture
async def admin(stack: PrivateStack) -> AsyncGenerator[Producer]:
    """Return the account's administrator, connected to the shared stack."""
    async with raw.connected(stack.administrator_url) as producer:
        yield producer


@pytest.fixture
async def carol(principals: dict[str, str]) -> AsyncGenerator[Producer]:
    """Return a principal whom the broker lets send everything, and no policy allows anything."""
    async with raw.connected(principals["carol"]) as producer:
        yield producer


@pytest.fixture(scope="session")
def ways(stack: PrivateStack, principals: dict[str, str]) -> Iterator[Ways]:
    """Return connections that the whole run shares, of `dave`, too, whom the broker lets send everything."""
    urls = {**principals, "dave": stack.add_producer("dave", tuple(Operation))}
    opened = Ways(urls)
    yield opened
    opened.close()


@pytest.fixture(params=WAYS)
def api_of(request: pytest.FixtureRequest, ways: Ways) -> Callable[[str], Api]:
    """Return the API as the named principal sees it, over each of the two clients in turn."""
    return lambda principal: ways.api(request.param, principal)


@pytest.fixture
def api(api_of: Callable[[str], Api]) -> Api:
    """Return the API as the account's administrator sees it."""
    return api_of("admin")


@pytest.fixture(scope="session")
def shared_keys() -> SharedKeys:
    """Return the administrator's keys that the whole run shares: use them, and leave them as they are."""
    return SharedKeys()


@pytest.fixture
def openssl(tmp_path: Path) -> OpenSSL:
    """Return the program, with a folder of this test's own."""
    return OpenSSL(tmp_path)


@pytest.fixture(scope="session")
def bare_stack(services_folder: Path) -> Iterator[PrivateStack]:
    """Return a second stack, without workers: tests run their own, stop and break what they like, and mend it."""
    mine = private_stack(services_folder / "bare")
    try:
        mine.up(workers=0)
        yield mine
    finally:
        mine.down()


@pytest.fixture
async def lone(bare_stack: PrivateStack) -> PrivateStack:
    """Return the second stack with empty queues, up again if a test that failed left it down."""
    await asyncio.to_thread(bare_stack.broker.start)
    await asyncio.to_thread(bare_stack.database.start)
    await evidence.purge_queues(bare_stack)
    return bare_stack


@pytest.fixture
async def boss(lone: PrivateStack) -> AsyncGenerator[Producer]:
    """Return the account's administrator, connected to the second stack."""
    async with raw.connected(lone.administrator_url) as producer:
        yield producer
