"""What is sent for a message that is to be signed or verified: itself, or what its signature is made of."""

import asyncio
import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mldsa import (
    MLDSA44PublicKey,
    MLDSA65PublicKey,
    MLDSA87PublicKey,
    MLDSAMuHasher,
)
from cryptography.hazmat.primitives.serialization import load_der_public_key

from kmsq.cli.session import Failure
from kmsq.client import Client
from kmsq_schemas.limits import SIGNED_MESSAGE_MAX_BYTES
from kmsq_schemas.models import MessageType, SigningAlgorithm

# The algorithms that sign a digest, which is always that of their name. Ed25519 and ML-DSA sign the message itself.
_DIGESTS = {
    algorithm: f"sha{algorithm.value[-3:]}"
    for algorithm in SigningAlgorithm
    if algorithm.value.startswith(("RSASSA_", "ECDSA_"))
}


async def condense(
    client: Client, key_id: str, message: bytes, algorithm: SigningAlgorithm
) -> tuple[bytes, MessageType]:
    """
    Return what to send for `message`, and what that is: the message up to 4,096 bytes, else its digest or ML-DSA's μ.

    The signature is the same as of the whole message. Raises `Failure` for Ed25519, which has nothing shorter.
    """
    require_message(message)
    if len(message) <= SIGNED_MESSAGE_MAX_BYTES:
        return message, MessageType.RAW
    if algorithm in _DIGESTS:
        # In a thread, for the connection's sake: a file may take longer than the broker waits for a sign of life.
        hashed = await asyncio.to_thread(hashlib.new, _DIGESTS[algorithm], message)
        return hashed.digest(), MessageType.DIGEST
    if algorithm is SigningAlgorithm.ML_DSA_SHAKE_256:
        public_key = (await client.get_public_key(key_id)).public_key
        return await asyncio.to_thread(external_mu, public_key, message), MessageType.EXTERNAL_MU
    text = (
        f"{algorithm} signs whole messages of up to {SIGNED_MESSAGE_MAX_BYTES:,} bytes, and there are {len(message):,}"
    )
    raise Failure(text, hint="Sign its digest as the message: `openssl dgst -sha512 -binary FILE | kmsq sign KEY`.")


def require_message(message: bytes) -> None:
    """Raise `Failure` for an empty message: the API takes none."""
    if not message:
        raise Failure("the message is empty", hint="It is read from FILE, or from standard input.")


def external_mu(public_key_der: bytes, message: bytes) -> bytes:
    """Return the 64 bytes that ML-DSA signs of `message` (μ, FIPS 204 §6.2). Raises `Failure` for another's key."""
    try:
        key = load_der_public_key(public_key_der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Failure("the service returned a public key that cannot be read") from error
    if not isinstance(key, MLDSA44PublicKey | MLDSA65PublicKey | MLDSA87PublicKey):
        raise Failure(
            "the key is not an ML-DSA key", hint="Leave --algorithm out: `kmsq key show KEY` lists the key's."
        )
    hasher = MLDSAMuHasher(key)
    hasher.update(message)
    return hasher.finalize()
