"""DryRun: everything is checked, nothing is returned."""

from kmsq_worker.errors import DryRunOperationException


def stop_if_dry(dry_run: bool | None) -> None:  # noqa: FBT001  # the request's field, passed on as it is
    """Raise `DryRunOperationException` where a request that only asks whether it would succeed has its answer."""
    if dry_run:
        message = "The request would have succeeded, but the DryRun option is set."
        raise DryRunOperationException(message)
