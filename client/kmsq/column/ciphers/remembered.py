"""What was asked of the service for a stored data key, remembered for the rows to come."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Generic, TypeVar

from kmsq.column.cells import Fault
from kmsq.column.ciphers.base import is_cell_fault, together
from kmsq.errors import InvalidEnvelope, ServiceError
from kmsq_schemas.errors import ErrorCode

KEYS_MAX: Final = 4096  # of rows that were sorted or merged each part may have the data keys of many
AT_ONCE: Final = 64  # questions to the service at a time

T = TypeVar("T")


class Remembered(Generic[T]):
    """Answers for stored data keys, each asked for once while it is remembered."""

    def __init__(self, ask: Callable[[bytes], Awaitable[T]]) -> None:
        self._ask = ask
        self._known: dict[bytes, T | Fault] = {}
        self._asking = asyncio.Lock()

    async def of(self, stored: Iterable[bytes | None]) -> dict[bytes, T | Fault]:
        """
        Return the answer for each data key, or the fault that it does not open.

        Raises `KmsqError` for what is not the data key's fault.
        """
        wanted = [key for key in dict.fromkeys(stored) if key is not None]
        async with self._asking:  # so that two parts do not ask for the same
            answers = {key: self._known[key] for key in wanted if key in self._known}
            missing = [key for key in wanted if key not in answers]
            for start in range(0, len(missing), AT_ONCE):
                some = missing[start : start + AT_ONCE]
                answers |= await together({key: self._answer(key) for key in some})
            self._remember(answers)
        return answers

    def _remember(self, answers: dict[bytes, T | Fault]) -> None:
        if len(self._known) + len(answers) > KEYS_MAX:
            self._known.clear()
        self._known |= answers

    async def _answer(self, key: bytes) -> T | Fault:
        try:
            return await self._ask(key)
        except InvalidEnvelope:
            return Fault(ErrorCode.INVALID_CIPHERTEXT)
        except ServiceError as error:
            if not is_cell_fault(error):
                raise
            return Fault(error.code)
