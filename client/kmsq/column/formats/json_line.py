"""
One line of JSON as text: where its top-level members are, and how to put other text in their places.

What is not touched stays as it is written, to the byte: spaces, the order of members, the digits of a number.
"""

import json
import re
from collections.abc import Iterable, Mapping
from json import decoder
from typing import Final, NamedTuple, NoReturn

NULL: Final = "null"
_BLANK: Final = re.compile(r"[ \t\n\r]*")  # RFC 8259 §2
# A member as most are written, up to what follows it: no escapes, and a text, a number or a word for its value.
_PLAIN: Final = re.compile(
    r"""
    "([^"\\\x00-\x1f]*)" [ \t\n\r]* : [ \t\n\r]*
    ("[^"\\\x00-\x1f]*" | -?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)? | true | false | null)
    [ \t\n\r]* (?=[,}])
    """,
    re.VERBOSE,
)


class Member(NamedTuple):
    """Where a member's name begins, and its value begins and ends. A tuple: one is made for each value of a table."""

    name_at: int
    start: int
    end: int


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError  # NaN and Infinity are not JSON


_scan_text = decoder.scanstring  # type: ignore[attr-defined]  # typeshed leaves it out
# Values are only passed over; numbers are not made of their digits, of which there may be any count.
_scan = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=len, parse_float=len).scan_once  # type: ignore[attr-defined]  # typeshed leaves it out


def members_of(line: str) -> dict[str, Member]:
    """Return the members of the object in `line`. Raises `ValueError` for anything else, and for a name given twice."""
    found: dict[str, Member] = {}
    at = _expect(line, _skip(line, 0), "{")
    at = _skip(line, at)
    while not line.startswith("}", at):
        if found:
            at = _skip(line, _expect(line, at, ","))
        plain = _PLAIN.match(line, at)
        name, member = (plain[1], Member(at, *plain.span(2))) if plain else _any_member(line, at)
        if name in found:
            raise ValueError
        found[name] = member
        at = plain.end() if plain else _skip(line, member.end)
    if _skip(line, at + 1) != len(line):
        raise ValueError
    return found


def is_value(text: str) -> bool:
    """Whether `text` is one JSON value that fits into a line, and nothing else."""
    try:
        return "\n" not in text and _value_end(text, 0) == len(text)
    except ValueError:
        return False


def replaced(line: str, members: Mapping[str, Member], texts: Mapping[str, str]) -> str:
    """Return `line` with other text for the values of some members."""
    pieces, at = [], 0
    for name in sorted(texts, key=lambda name: members[name].start):
        pieces += [line[at : members[name].start], texts[name]]
        at = members[name].end
    return "".join([*pieces, line[at:]])


def added(line: str, members: Mapping[str, Member], name: str, text: str) -> str:
    """Return `line` with one more member at its end. `removed` is the exact inverse."""
    at = _last_end(members.values()) if members else line.index("{") + 1
    comma = "," if members else ""
    return f"{line[:at]}{comma}{json.dumps(name, ensure_ascii=False)}:{text}{line[at:]}"


def removed(line: str, members: Mapping[str, Member], name: str) -> str:
    """Return `line` without a member."""
    gone = members[name]
    before = [member.end for member in members.values() if member.end < gone.start]
    if before:
        return line[: max(before)] + line[gone.end :]
    after = [member.name_at for member in members.values() if member.name_at > gone.end]
    return line[: gone.name_at] + line[min(after) if after else gone.end :]


def _any_member(line: str, at: int) -> tuple[str, Member]:
    name, end = _scan_text(line, _expect(line, at, '"'), True)  # noqa: FBT003  `strict`, by position only
    start = _skip(line, _expect(line, _skip(line, end), ":"))
    return name, Member(at, start, _value_end(line, start))


def _last_end(members: Iterable[Member]) -> int:
    return max(member.end for member in members)


def _skip(line: str, at: int) -> int:
    match = _BLANK.match(line, at)
    return match.end() if match else at


def _expect(line: str, at: int, character: str) -> int:
    if not line.startswith(character, at):
        raise ValueError
    return at + 1


def _value_end(line: str, start: int) -> int:
    try:
        _value, end = _scan(line, start)
    except (StopIteration, RecursionError) as error:
        raise ValueError from error
    return int(end)
