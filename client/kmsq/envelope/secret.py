"""A holder for data keys, which must not be printed, pickled, copied or compared by accident."""

from typing import ClassVar, NoReturn, final


@final
class DataKey:
    """
    A data key in plaintext, in one place.

    Only `reveal` gives it out. Printing shows nothing of it; comparing, hashing, pickling and copying raise
    `TypeError`. Python cannot promise when the memory behind it is reused.
    """

    __slots__ = ("_value",)

    __hash__: ClassVar[None]  # type: ignore[assignment]  # object declares a method; None is how Python says "no hash"

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """Return the bytes themselves."""
        return self._value

    def __len__(self) -> int:
        """Return the number of bytes."""
        return len(self._value)

    def __repr__(self) -> str:
        return f"<DataKey {len(self._value)} bytes>"

    def __eq__(self, other: object) -> NoReturn:
        """Refuse: `==` leaks through its timing."""
        raise TypeError("a DataKey is not comparable")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be pickled or copied: `pickle`, `copy` and `deepcopy` all come through here."""
        raise TypeError("a DataKey cannot be pickled or copied")

    def __getstate__(self) -> NoReturn:
        """Refuse: since Python 3.11 `object` would hand out the slots."""
        raise TypeError("a DataKey cannot be pickled or copied")
