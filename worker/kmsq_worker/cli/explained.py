"""Errors that an operator can mend, as one line."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import click

from kmsq_worker.custody import Tampered
from kmsq_worker.errors import Unavailable
from kmsq_worker.rootkey import RootKeyError
from kmsq_worker.settings import SettingsError
from kmsq_worker.store.schema import WrongDatabase

P = ParamSpec("P")


def explained(command: Callable[P, None]) -> Callable[P, None]:
    """Turn what an operator can mend into one line and exit code 1."""

    @wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (SettingsError, RootKeyError, WrongDatabase, Tampered) as error:
            raise click.ClickException(str(error)) from error
        except Unavailable as error:
            cause = error.__cause__
            message = f"{error}: {cause}" if cause is not None else str(error)
            raise click.ClickException(message) from error

    return wrapper
