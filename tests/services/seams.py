"""What a stack asks of its broker and its database, whoever runs them."""

from collections.abc import Iterable
from typing import Protocol


class Broker(Protocol):
    """Where messages go: a private node, or one that somebody else runs."""

    @property
    def administrator_url(self) -> str:
        """URL of whoever may declare exchanges and queues."""

    def start(self) -> None:
        """Return when it serves."""

    def stop(self) -> None:
        """Leave no process behind."""

    def user(self, wanted: str) -> str:
        """Return the name under which `wanted` connects."""

    def admit(self, user: str, commands: Iterable[str]) -> str:
        """Add `user` with the permissions that `rabbitmqctl` command lines give, and return its URL."""


class Database(Protocol):
    """Where rows go: a private node, or one that somebody else runs."""

    def start(self) -> None:
        """Return when it serves."""

    def stop(self) -> None:
        """Leave no process behind."""

    def provide(self, database: str, owner: str) -> None:
        """Make sure that `database` and its `owner` exist."""

    def url(self, role: str, database: str) -> str:
        """URL of `database` for `role`."""

    def allow_login(self, role: str) -> None:
        """Let the existing `role` log in."""
