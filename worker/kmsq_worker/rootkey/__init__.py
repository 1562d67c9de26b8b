"""
Root key providers: what wraps domain keys, and never meets Postgres.

A provider is anything with an id and two methods. The file provider is here; a PKCS#11 token would be another.
"""

from typing import Protocol
from uuid import UUID

from kmsq_worker.rootkey.errors import RootKeyError
from kmsq_worker.rootkey.file import FileRootKey, create_root_key_file, load_root_key_file
from kmsq_worker.secret import Secret

__all__ = ["FileRootKey", "RootKey", "RootKeyError", "create_root_key_file", "load_root_key_file"]


class RootKey(Protocol):
    """Wraps domain keys. Blocking: call it off the event loop when the key is not in memory."""

    @property
    def id(self) -> str:
        """Which root key this is; not secret, stored beside what it wrapped."""

    def wrap(self, domain_key: Secret, domain_key_id: UUID) -> bytes:
        """Wrap `domain_key`, binding its id. The bytes are the provider's own format."""

    def unwrap(self, wrapped: bytes, domain_key_id: UUID) -> Secret:
        """Undo `wrap`. Raises `RootKeyError` unless this root key wrapped exactly this under this id."""
