"""Key material of every spec, as CreateKey makes it."""

from kmsq_schemas.models.enums import KeySpec
from kmsq_worker import keyspecs
from kmsq_worker.primitives import key_pairs
from kmsq_worker.secret import Secret


def fresh_material(spec: str) -> Secret:
    """Make material; an RSA key takes its time."""
    if keyspecs.is_asymmetric(KeySpec(spec)):
        return key_pairs.generate(KeySpec(spec))
    return Secret.random(keyspecs.SYMMETRIC_MATERIAL_BYTES[KeySpec(spec)])
