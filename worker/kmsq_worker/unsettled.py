"""Which deliveries of a channel are still open, so that one frame can acknowledge many. Pure."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Ack(NamedTuple):
    """One basic.ack: of this tag, or of it and everything below."""

    tag: int
    multiple: bool


class Unsettled:
    """The open delivery tags of one channel."""

    def __init__(self) -> None:
        self._tags: set[int] = set()

    def add(self, tag: int) -> None:
        """Note a delivery."""
        self._tags.add(tag)

    def settle(self, tags: Iterable[int]) -> Sequence[Ack]:
        """
        Return the acknowledgements that end `tags` and nothing else.

        `multiple` covers every tag below, so it is used only up to the first tag that stays open.
        """
        settled = sorted(tags)
        self._tags.difference_update(settled)
        first_open = min(self._tags, default=None)
        below = [tag for tag in settled if first_open is None or tag < first_open]
        beyond = settled[len(below) :]
        together = [Ack(below[-1], multiple=len(below) > 1)] if below else []
        return [*together, *(Ack(tag, multiple=False) for tag in beyond)]
