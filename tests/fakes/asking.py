"""Asking a worker that has nothing cached."""

from typing import Any, TypeVar

from fakes.database import Database
from fakes.deliveries import request
from fakes.workers import code_of, turn_lane
from kmsq_schemas.models import ErrorReply, Reply, Request

R = TypeVar("R", bound=Reply)


async def ask(database: Database, message: Request, **changes: Any) -> Reply:
    """Return the reply, which may be an error."""
    (reply,) = await (await turn_lane(database)).run(request(message, **changes))
    return reply


async def answer(kind: type[R], database: Database, message: Request, **changes: Any) -> R:
    """Return the reply, which must be of this kind."""
    reply = await ask(database, message, **changes)
    if not isinstance(reply, kind):
        raise TypeError(repr(reply))
    return reply


async def code(database: Database, message: Request, **changes: Any) -> str:
    """Return an error's code without the word Exception, or the name of the reply's type."""
    return code_of(await ask(database, message, **changes)).removesuffix("Exception")


async def locked_refusal(database: Database, message: Request, **changes: Any) -> tuple[str, str]:
    """Return code and message of an error before which nothing may have been unwrapped."""
    lane = await turn_lane(database)
    (reply,) = await lane.run(request(message, **changes))
    if lane.ring.custody.unwrapped or not isinstance(reply, ErrorReply):
        raise AssertionError(repr(reply))
    return reply.code.removesuffix("Exception"), reply.message
