"""
Import tokens: what lets any worker take an import that another one prepared, with nothing stored in between.

A token is the private half of a wrapping key, wrapped by the domain key as key material is (`wrapping`), but for a
purpose of its own and for the one key that it was made for. What it holds:

    expiry, Unix milliseconds (8) ‖ len32 ‖ wrapping algorithm ‖ len32 ‖ key spec ‖ private key (PKCS#8 DER)

Specified in docs/ciphertext.md. Another layout would get another purpose: tokens need no version of their own.
"""

from dataclasses import dataclass
from typing import Final

from kmsq_schemas.models.enums import AlgorithmSpec, KeySpec, Origin
from kmsq_worker.errors import InvalidImportTokenException
from kmsq_worker.secret import Secret
from kmsq_worker.wrapping import Binding, DomainKey, UnwrapError

PURPOSE: Final = "import-token"
EXPIRY_BYTES: Final = 8
_LENGTH_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class ImportToken:
    """What a token holds. `expires_at` is in Unix milliseconds, `private_key` is PKCS#8 DER."""

    key_id: str
    key_spec: KeySpec
    algorithm: AlgorithmSpec
    expires_at: int
    private_key: Secret

    def seal(self, domain_key: DomainKey) -> bytes:
        """Make the token: at most 2,500 bytes, with a private key of RSA_4096."""
        content = b"".join(
            (
                self.expires_at.to_bytes(EXPIRY_BYTES, "big"),
                _encode(self.algorithm),
                _encode(self.key_spec),
                self.private_key.reveal(),
            )
        )
        return domain_key.wrap(Secret(content), _binding(self.key_id))


def open_token(domain_key: DomainKey, key_id: str, token: bytes) -> ImportToken:
    """
    Open a token that `domain_key` sealed for the key `key_id`. Whether it has expired, the caller asks.

    Raises `InvalidImportTokenException`.
    """
    try:
        content = domain_key.unwrap(token, _binding(key_id)).reveal()
        algorithm, at = _decode(content, EXPIRY_BYTES)
        key_spec, at = _decode(content, at)
        return ImportToken(
            key_id=key_id,
            key_spec=KeySpec(key_spec),
            algorithm=AlgorithmSpec(algorithm),
            expires_at=int.from_bytes(content[:EXPIRY_BYTES], "big"),
            private_key=Secret(content[at:]),
        )
    except UnwrapError as error:
        raise invalid("not-authentic") from error
    except ValueError:  # authentic, so a newer worker made it; not chained: an error may quote what it could not read
        raise invalid("unknown-content") from None


def invalid(reason: str) -> InvalidImportTokenException:
    """Make the answer to a token that does not open; `reason` is for the audit record."""
    return InvalidImportTokenException("The import token was not made for this key.", reason=f"import-token-{reason}")


def _binding(key_id: str) -> Binding:
    # Who opens a token knows neither the key's spec, nor is there material with a number yet. The spec is inside.
    return Binding(key_id=key_id, material_number=0, key_spec="", origin=Origin.EXTERNAL, purpose=PURPOSE)


def _encode(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(_LENGTH_BYTES, "big") + encoded


def _decode(content: bytes, at: int) -> tuple[str, int]:
    """Return the text at a place, and where it ends."""
    start = at + _LENGTH_BYTES
    end = start + int.from_bytes(content[at:start], "big")
    return content[start:end].decode(), end
