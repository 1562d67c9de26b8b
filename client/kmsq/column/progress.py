"""What a run tells while it works, and when it is done."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

from kmsq.column.journal import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is."""

    tally: Tally
    """Of everything, what an earlier run did included."""
    resumed: Tally
    """What an earlier run did."""
    position: int
    """Of `size`, in rows or bytes of the input."""
    size: int
    requests: int


Watch: TypeAlias = Callable[[Progress], None]


def unwatched(_progress: Progress) -> None:
    """Look away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a run did."""

    tally: Tally
    seconds: float
    """Of this run."""
    requests: int
    """Of this run."""
    resumed_from: int | None
    """The rows that an earlier run did, if there was one."""
    output: Path
    quarantine: Path | None
    """The file with the rows that were taken out, if there are any."""

    def facts(self) -> dict[str, object]:
        """Return it for JSON."""
        return {
            **asdict(self.tally),
            "seconds": round(self.seconds, 3),
            "requests": self.requests,
            "resumed_from": self.resumed_from,
            "output": str(self.output),
            "quarantine": None if self.quarantine is None else str(self.quarantine),
        }
