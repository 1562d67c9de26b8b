"""Tells what happens, and holds each claim: one that does not hold ends the demo with exit status 1."""

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager


class ClaimFailed(Exception):
    """Something that the demo shows did not happen."""


class Story:
    """Prints chapters and claims, and counts the claims."""

    def __init__(self) -> None:
        self.claims = 0
        self._began = time.monotonic()

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        print(f"\n{title}", flush=True)

    def holds(self, claim: str, held: object = "yes") -> None:
        """Print a claim that held. Raises `ClaimFailed` for one that did not."""
        if not held:
            print(f"  ✗ {claim}", flush=True)
            raise ClaimFailed(claim)
        self.claims += 1
        print(f"  ✓ {claim}", flush=True)

    @contextmanager
    def refused(self, claim: str, expected: type[Exception]) -> Generator[None]:
        """Claim that the block is refused with `expected`."""
        try:
            yield
        except expected as error:
            self.holds(f"{claim}: {type(error).__name__}")
        else:
            self.holds(f"{claim}: {expected.__name__}", held=False)

    def end(self) -> None:
        """Print the verdict."""
        seconds = time.monotonic() - self._began
        print(f"\nAll {self.claims} claims held, in {seconds:.0f} s.", file=sys.stdout, flush=True)
