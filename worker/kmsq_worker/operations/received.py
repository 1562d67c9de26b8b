"""What ImportKeyMaterial is sent, opened before its transaction begins: RSA takes too long to hold the lock for."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from kmsq_schemas.models import ImportKeyMaterialRequest
from kmsq_worker.arn import parse_key_reference
from kmsq_worker.custody import Custody, Tampered
from kmsq_worker.errors import ExpiredImportTokenException, KmsError
from kmsq_worker.import_token import ImportToken, invalid, open_token
from kmsq_worker.primitives import import_wrapping, imported, key_pairs
from kmsq_worker.secret import Secret
from kmsq_worker.store.rows import MaterialRow
from kmsq_worker.wrapping import UnwrapError, wrapped_by

_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Received:
    """
    What came out of a token and a blob: material as keys are stored, or what was wrong with them.

    It is made before the caller is authorised, so nobody but `material` looks into it. `expires_at` is the token's end
    in Unix milliseconds, None if it did not open.
    """

    outcome: Secret | KmsError
    expires_at: int | None = None

    def material(self, now: int) -> Secret:
        """
        Return the material: only after `authorize`.

        Raises `InvalidImportTokenException` or `ExpiredImportTokenException`, else `InvalidCiphertextException`, else
        `IncorrectKeyMaterialException`.
        """
        if self.expires_at is not None and self.expires_at <= now:
            raise ExpiredImportTokenException("The import token is older than 24 hours.")
        if isinstance(self.outcome, KmsError):
            raise self.outcome
        return self.outcome


async def receive(custody: Custody, request: ImportKeyMaterialRequest) -> Received:
    """Open the token and unwrap the material, beside the loop and before the lock. Raises `Unavailable` alone."""
    expires_at = None
    try:
        token = await _open(custody, request)
        expires_at = token.expires_at
        return Received(await asyncio.to_thread(_unwrap, token, request.encrypted_key_material), expires_at)
    except KmsError as error:
        return Received(error, expires_at)


async def _open(custody: Custody, request: ImportKeyMaterialRequest) -> ImportToken:
    key_id = parse_key_reference(request.key_id, custody.account).value
    token = request.import_token
    # Custody looks for domain keys in rows. A token is in none, but it is wrapped like material and names its domain
    # key in the same place; another worker may have made both a minute ago.
    await custody.fetch_missing(
        [MaterialRow(key_id=key_id, material_number=0, material_id="", wrapped=token, created_at=_NEVER)]
    )
    try:
        domain_key = custody.domain_key(wrapped_by(token))
    except UnwrapError as error:
        raise invalid("malformed") from error
    except Tampered as error:
        raise invalid("unknown-domain-key") from error
    return open_token(domain_key, key_id, token)


def _unwrap(token: ImportToken, wrapped: bytes) -> Secret:
    private_key = key_pairs.load(token.private_key)
    return imported.accept(token.key_spec, import_wrapping.unwrap(private_key, token.algorithm, wrapped))
