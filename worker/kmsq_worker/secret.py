"""A holder for bytes that must not be printed, pickled, copied or compared by accident."""

import os
from typing import ClassVar, NoReturn, final


@final
class Secret:
    """
    Secret bytes in one place.

    Only `reveal` gives them out, so that every use can be found by its name. Printing shows the length; comparing,
    hashing, pickling and copying raise `TypeError` (compare with `hmac.compare_digest` on revealed bytes). The holder
    keeps a reference and makes no copy. Python cannot promise when the memory behind it is reused.
    """

    __slots__ = ("_value",)

    __hash__: ClassVar[None]  # type: ignore[assignment]  # object declares a method; None is how Python says "no hash"

    def __init__(self, value: bytes) -> None:
        """Hold `value`. Raises `TypeError`, without the value, for anything but `bytes`: mutable buffers can change."""
        if type(value) is not bytes:
            raise TypeError("a Secret holds bytes")
        self._value = value

    @classmethod
    def random(cls, length: int) -> "Secret":
        """Return `length` bytes of the operating system's randomness."""
        return cls(os.urandom(length))

    def reveal(self) -> bytes:
        """Return the bytes themselves."""
        return self._value

    def __len__(self) -> int:
        """Return the number of bytes."""
        return len(self._value)

    def __repr__(self) -> str:
        """Show the length, nothing else; `str` and `format` go through here, too."""
        return f"<Secret {len(self._value)} bytes>"

    def __format__(self, spec: str) -> str:
        """Pad and align what `repr` shows."""
        return format(repr(self), spec)

    def __eq__(self, other: object) -> NoReturn:
        """Refuse: `==` leaks through its timing."""
        raise TypeError("a Secret is not comparable: use hmac.compare_digest on what reveal() gives")

    # A class that defines __eq__ gets __hash__ = None, so hashing raises TypeError as well.

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be pickled or copied."""
        _refuse_copy()

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        _refuse_copy()

    def __getstate__(self) -> NoReturn:
        """Refuse: since Python 3.11 `object` would hand out the slots."""
        _refuse_copy()

    def __copy__(self) -> NoReturn:
        """Refuse to be copied."""
        _refuse_copy()

    def __deepcopy__(self, memo: object) -> NoReturn:
        """Refuse to be copied; `dataclasses.asdict` ends here as well."""
        _refuse_copy()


def _refuse_copy() -> NoReturn:
    raise TypeError("a Secret cannot be pickled or copied")
