"""What is wrong with a policy document."""

from collections.abc import Iterable
from typing import Final

MESSAGE_LENGTH: Final = 200  # characters: a message goes into replies and logs
_SHOWN_LENGTH: Final = 60


class Flaw(Exception):
    """A flaw in `field`. It never leaves this package: `document.parse` adds the statement and a typed error."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")


def shown(text: object) -> str:
    """Quote a piece of the document, shortened."""
    whole = repr(text)
    return whole if len(whole) <= _SHOWN_LENGTH else whole[: _SHOWN_LENGTH - 1] + "…"


def texts(field: str, value: object) -> tuple[str, ...]:
    """Read a string or a non-empty list of strings."""
    items = value if isinstance(value, list) else [value]
    if not items:
        raise Flaw(field, "the list is empty")
    return tuple(_strings(field, items))


def _strings(field: str, items: Iterable[object]) -> Iterable[str]:
    for item in items:
        if not isinstance(item, str):
            raise Flaw(field, f"a string is needed, not {shown(item)}")
        yield item
