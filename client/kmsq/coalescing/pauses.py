"""Operations whose batches were refused."""

from kmsq_schemas.operations import Operation

PAUSE_SECONDS = 60.0  # after which a batch is tried again: permissions are granted, services are updated


class Pauses:
    """Which operations do not coalesce for the time being. Times are those of the event loop's clock."""

    def __init__(self) -> None:
        self._until: dict[Operation, float] = {}

    def begin(self, operation: Operation, *, now: float) -> None:
        """Let calls of `operation` travel alone from now on."""
        self._until[operation] = now + PAUSE_SECONDS

    def covers(self, operation: Operation, *, now: float) -> bool:
        """Say whether calls of `operation` travel alone."""
        until = self._until.get(operation)
        return until is not None and now < until
