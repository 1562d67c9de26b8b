"""Another wrapping for the data key of an envelope, whose data stay as they are."""

from dataclasses import replace
from io import BytesIO

from kmsq.envelope.header import EnvelopeHeader, inspect
from kmsq.envelope.kms import Rewrapping, rewrap_key


async def rewrap_header(kms: Rewrapping, header: EnvelopeHeader, destination_key_id: str) -> EnvelopeHeader:
    """
    Return the header that goes before the same chunks instead of `header`: its data key wrapped by another key.

    By ReEncrypt, in the same context, so that neither data nor data key are seen here, nor verified. Raises `KmsqError`.
    """
    wrapped = await rewrap_key(kms, header.wrapped_key, header.context, destination_key_id)
    return replace(header, wrapped_key=wrapped)


async def rewrap(kms: Rewrapping, sealed: bytes, destination_key_id: str) -> bytes:
    """Return the envelope `sealed` with its data key wrapped by another key. See `rewrap_header`."""
    source = BytesIO(sealed)
    header = await rewrap_header(kms, inspect(source), destination_key_id)
    return header.encode() + sealed[source.tell() :]
