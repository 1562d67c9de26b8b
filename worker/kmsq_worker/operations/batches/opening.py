"""Opening the blobs of a batch: every key is located, checked and unlocked once, however many blobs are its."""

from typing import Final

from kmsq_schemas.models import UsedMaterial
from kmsq_worker import envelope
from kmsq_worker.custody import Key
from kmsq_worker.envelope import Opener
from kmsq_worker.errors import KmsError
from kmsq_worker.execution import TurnExecution
from kmsq_worker.operations.batches.sealing import require_usable
from kmsq_worker.operations.ciphers import SYMMETRIC, Source
from kmsq_worker.secret import Secret


class Named:
    """A key material that blobs of the batch name. `secret` and `index` are None until one of them is opened."""

    __slots__ = ("index", "secret", "source")

    def __init__(self, source: Source) -> None:
        self.source: Final = source
        self.secret: Secret | KmsError | None = None
        self.index: int | None = None


class Opening:
    """
    One batch's blobs.

    An item's way is `named`, then the policy's decision, then `open`; each gives the item's error or goes on.
    """

    def __init__(self, execution: TurnExecution, *, insisted: str | None, operation: str) -> None:
        """
        `insisted` is the key id that the request insists on; `operation` is what an error calls it.

        Raises `NotFoundException` and others of `TurnExecution.locate`.
        """
        self._execution: Final = execution
        self._expected: Final[Key | None] = None if insisted is None else execution.locate(insisted)
        self._operation: Final = operation
        self._opener: Final = Opener()
        # Each is located, hence recorded, once: a forged batch can name ten thousand materials of one key.
        self._keys: dict[str, Key] = {} if self._expected is None else {self._expected.key_id: self._expected}
        self._named: dict[bytes, Named | KmsError] = {}
        self.used: Final[list[UsedMaterial]] = []
        """The keys and materials that opened blobs."""
        self.key_ids: Final[set[str]] = set()
        """The keys of those."""

    def named(self, blob: bytes) -> Named | KmsError:
        """Return what `blob` says that opens it."""
        try:
            name = envelope.named_material(blob)
        except KmsError as error:
            return error
        found = self._named.get(name)
        if found is None:
            found = self._named[name] = self._locate(blob)
        return found

    def open(self, named: Named, blob: bytes, associated: bytes) -> bytes | KmsError:
        """Return the plaintext of `blob`: only after the decision on its key. Then `named.index` is its in `used`."""
        if named.secret is None:
            named.secret = self._unlock(named.source)
        if isinstance(named.secret, KmsError):
            return named.secret
        try:
            plaintext = self._opener.open(named.secret, blob, associated)
        except KmsError as error:
            return error
        if named.index is None:
            named.index = self._use(named.source)
        return plaintext

    def _locate(self, blob: bytes) -> Named | KmsError:
        header = envelope.parse_header(blob)
        key = self._keys.get(header.key_id)
        if key is None:
            try:
                key = SYMMETRIC.locate_named(self._execution, header, self._expected).key
            except KmsError as error:
                return error
            self._keys[key.key_id] = key
        return Named(Source(key, header.material_number))

    def _unlock(self, source: Source) -> Secret | KmsError:
        try:
            require_usable(source.key, self._operation)
            return self._execution.unlock(source.key, self._execution.material(source.key, source.material_number))
        except KmsError as error:
            return error

    def _use(self, source: Source) -> int:
        material = self._execution.material(source.key, source.material_number)
        self.used.append(UsedMaterial.model_construct(key_id=source.key.arn, key_material_id=material.material_id))
        self.key_ids.add(source.key.key_id)
        return len(self.used) - 1
