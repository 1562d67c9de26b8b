"""
The journal beside an output: what a run has finished, so that another can go on after a crash at any point.

A line of JSON each: first what the run works on and how, then one for every part, and last which file is about to become
the output. A part's line is written when its bytes are on disk. A last line that is torn was never finished and counts
for nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any, Final

from kmsq.column.errors import JournalDamaged, JournalMismatch

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Tally:
    """What was counted from the start."""

    rows: int = 0
    """Read, those left out included."""
    cells: int = 0
    nulls: int = 0
    failed: int = 0
    """Cells."""
    skipped: int = 0
    """Rows that were left out."""
    bytes: int = 0
    """Of cells, as they became."""

    def __add__(self, other: "Tally") -> "Tally":
        mine, theirs = asdict(self), asdict(other)
        return Tally(**{name: mine[name] + theirs[name] for name in mine})


@dataclass(frozen=True, slots=True)
class Length:
    """How far a spool goes, and what its last part hashes to."""

    bytes: int = 0
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A finished part."""

    number: int
    position: int
    """Of the input, after this part."""
    spool: Length
    quarantine: Length
    tally: Tally
    """Of all parts up to this."""


NO_PART: Final = Part(number=0, position=0, spool=Length(), quarantine=Length(), tally=Tally())  # before the first


@dataclass(frozen=True, slots=True)
class Header:
    """What a run works on, and how."""

    input: Mapping[str, object]
    options: Mapping[str, object]

    def require(self, other: "Header") -> None:
        """Raise `JournalMismatch`, saying what differs, unless the `other` run did the same."""
        for what, mine, theirs in [("", self.options, other.options), ("the input's ", self.input, other.input)]:
            different = [name for name in {**mine, **theirs} if mine.get(name) != theirs.get(name)]
            if different:
                named = "; ".join(f"{what}{name} was {mine.get(name)}, is {theirs.get(name)}" for name in different)
                message = f"the journal is of another run: {named}"
                raise JournalMismatch(message)


@dataclass(frozen=True, slots=True)
class Journal:
    """What a journal says."""

    header: Header | None = None
    """None: the run ended before it was written."""
    parts: Sequence[Part] = ()
    ready: Sequence[Sequence[int]] = ()
    """Of each file that was about to become the output: inode, bytes, time of its last change (ns)."""
    ends: Sequence[int] = (0,)
    """Where, in bytes, the header and each part's line end."""


def header_line(header: Header) -> bytes:
    """Return the first line."""
    return _line({"kmsq_journal": VERSION, **asdict(header)})


def part_line(part: Part) -> bytes:
    """Return the line of a finished part."""
    return _line({"part": asdict(part)})


def ready_line(identity: Sequence[int]) -> bytes:
    """Return the line that says which file is about to become the output."""
    return _line({"ready": list(identity)})


def read_journal(data: bytes) -> Journal:
    """Read a journal, all but a torn last line. Raises `JournalDamaged`."""
    *lines, _torn = data.split(b"\n")
    if not lines:
        return Journal()
    try:
        header, *entries = [json.loads(line) for line in lines]
        known = {VERSION: Header}[header.pop("kmsq_journal")]
        parts = tuple(_part(entry["part"]) for entry in entries if "part" in entry)
        ready = tuple(tuple(entry["ready"]) for entry in entries if "part" not in entry)
        ends = tuple(accumulate(len(line) + 1 for line in lines[: 1 + len(parts)]))
        journal = Journal(known(**header), parts, ready, ends)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise JournalDamaged("the journal cannot be read: --restart begins anew") from error
    if [part.number for part in parts] != list(range(len(parts))):
        raise JournalDamaged("the journal lacks a part: --restart begins anew")
    return journal


def _part(entry: Any) -> Part:
    kinds = {"spool": Length, "quarantine": Length, "tally": Tally}
    return Part(**{name: kinds[name](**value) if name in kinds else value for name, value in entry.items()})


def _line(value: object) -> bytes:
    # In ASCII, with escapes, so that the names of files that are not UTF-8 are read as they were written.
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"
