"""Which keys and materials a batch of blobs names."""

from collections.abc import Sequence

from kmsq_worker import envelope
from kmsq_worker.arn import Account, KeyReference, KeyReferenceKind, parse_key_reference
from kmsq_worker.errors import InvalidCiphertextException
from kmsq_worker.view import Wanted


def wanted(account: Account, blobs: Sequence[bytes], key_id: str | None) -> Sequence[Wanted]:
    """Need what the blobs name, each once, and the key that the request names; what is no blob names nothing."""
    named: dict[bytes, Wanted] = {}
    for blob in blobs:
        try:
            name = envelope.named_material(blob)
        except InvalidCiphertextException:
            continue  # its item fails when its turn comes
        if name not in named:
            header = envelope.parse_header(blob)
            named[name] = Wanted(KeyReference(KeyReferenceKind.KEY_ID, header.key_id), header.material_number)
    return (*named.values(), *(() if key_id is None else (Wanted(parse_key_reference(key_id, account)),)))
