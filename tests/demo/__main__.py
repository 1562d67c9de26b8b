"""Starts everything, plays the chapters, cleans up. Exit status 0 only if every claim held."""

import asyncio
import sys
import tempfile
from pathlib import Path

from demo import chapters
from demo.story import ClaimFailed, Story
from kmsq import Client, KmsqError
from services import PrivateStack, ServiceError, private_stack
from services.stack import ROOT

WORKERS = 2


async def play(stack: PrivateStack, story: Story, folder: Path) -> None:
    """Play all chapters as the account's administrator."""
    async with Client(stack.administrator_url, timeout_seconds=60) as admin:
        scene = chapters.Scene(stack, admin, story, folder)
        key_id = await chapters.create_key(scene)
        blobs = await chapters.encrypt_lines(scene, ROOT / "README.md")
        await chapters.envelope(scene)
        await chapters.rotate(scene, key_id, blobs)
        await chapters.refusals(scene, key_id, blobs[0])
        await chapters.kill_a_worker(scene)
        await chapters.audit_log(scene)


def main() -> int:
    """Run the demo."""
    story = Story()
    with tempfile.TemporaryDirectory(prefix="kmsq-demo-") as temporary:
        folder = Path(temporary)
        print("Starting a private RabbitMQ, a private PostgreSQL and two workers …", flush=True)
        try:
            with private_stack(folder / "stack") as stack:
                stack.up(workers=WORKERS)
                asyncio.run(play(stack, story, folder))
        except ClaimFailed:
            print("\nThe demo failed: the claim marked ✗ did not hold.", file=sys.stderr)
            return 1
        except (KmsqError, ServiceError) as error:
            print(f"\nThe demo failed: {type(error).__name__}: {error}", file=sys.stderr)
            return 1
    story.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
