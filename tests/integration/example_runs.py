"""What the tests of the examples share: a database of somebody's own, and running an example as somebody would."""

import asyncio
import os
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from services.postgres import binaries_folder
from services.stack import PROGRAMS, ROOT, PrivateStack

EXAMPLES = ROOT / "examples"
DATABASE = "examples"
OWNER = "examples_owner"
PROCESS_SECONDS = 120


def new_database(stack: PrivateStack) -> str:
    """Return the URL of an empty database whose owner may not see kmsq's."""
    stack.database.sql(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    stack.database.provide(DATABASE, OWNER)
    return stack.database.url(OWNER, DATABASE)


def environment_of(stack: PrivateStack, database_url: str) -> dict[str, str]:
    """Return what somebody has who sourced `.dev/env` and has a database."""
    programs = os.pathsep.join([str(PROGRAMS), str(binaries_folder()), os.environ["PATH"]])
    return {**os.environ, **stack.environment(), "DATABASE_URL": database_url, "PATH": programs}


@asynccontextmanager
async def started(
    environment: Mapping[str, str], example: str, *arguments: str, stdin: int = subprocess.DEVNULL
) -> AsyncIterator[Process]:
    """Run an example; it does not outlive the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, EXAMPLES / example, *arguments, env=environment, stdin=stdin, stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(PROCESS_SECONDS):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
