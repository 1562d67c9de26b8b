"""`kmsq derive-shared-secret`, `encapsulate`, `decapsulate`: secrets that two sides have."""

import click

from kmsq.cli.data import SOURCE
from kmsq.cli.files import read_bytes
from kmsq.cli.parts import Part, deliver, refuse_existing_files, refuse_secret_on_terminal
from kmsq.cli.pem import read_public_key
from kmsq.cli.session import Session, pass_session
from kmsq_schemas.models import EncapsulationAlgorithm, KeyAgreementAlgorithm

SECRET_OUT = click.option("--secret-out", metavar="FILE", help="Write the secret to a new file that only you can read.")
SHOW_SECRET = click.option("--show-secret", is_flag=True, help="Print the secret even on a terminal.")


@click.command("derive-shared-secret")
@click.argument("key_id", metavar="KEY")
@click.argument("peer", metavar="PUBLIC_KEY_FILE")
@SECRET_OUT
@SHOW_SECRET
@pass_session
def derive_shared_secret(
    session: Session, *, key_id: str, peer: str, secret_out: str | None, show_secret: bool
) -> None:
    r"""
    Agree on a secret with the holder of another key pair on the same curve: ECDH.

    Reads their public key, PEM or DER; they do the same with that of `kmsq public-key KEY`. Derive keys from the
    secret, and do not use it as one. Prints JSON, with what is not written to a file in base64.

    \b
    Example:
      kmsq derive-shared-secret alias/us them.pem --secret-out secret
    """
    _check(secret_out, show_secret=show_secret)
    public_key = read_public_key(read_bytes(peer))
    reply = session.run(
        lambda client: client.derive_shared_secret(key_id, KeyAgreementAlgorithm.ECDH, public_key),
    )
    deliver(reply, [Part("shared_secret", secret_out)])


@click.command()
@click.argument("key_id", metavar="KEY")
@SECRET_OUT
@click.option("--ciphertext-out", metavar="FILE", help="Write the encapsulated secret to a new file.")
@SHOW_SECRET
@pass_session
def encapsulate(
    session: Session, *, key_id: str, secret_out: str | None, ciphertext_out: str | None, show_secret: bool
) -> None:
    r"""
    Make a secret, and its encapsulated form, which `kmsq decapsulate` opens: ML-KEM.

    Prints JSON, with what is not written to files in base64.

    \b
    Example:
      kmsq encapsulate alias/mail --secret-out secret --ciphertext-out secret.sealed
    """
    _check(secret_out, show_secret=show_secret)
    refuse_existing_files(ciphertext_out)
    reply = session.run(lambda client: client.encapsulate(key_id, EncapsulationAlgorithm.ML_KEM))
    deliver(reply, [Part("shared_secret_ciphertext_blob", ciphertext_out), Part("shared_secret", secret_out)])


@click.command()
@click.argument("key_id", metavar="KEY")
@SOURCE
@SECRET_OUT
@SHOW_SECRET
@pass_session
def decapsulate(session: Session, *, key_id: str, source: str, secret_out: str | None, show_secret: bool) -> None:
    r"""
    Open an encapsulated secret.

    One that was altered, or made for another key, gives another secret, and no error: ML-KEM wants it so.

    \b
    Example:
      kmsq decapsulate alias/mail --in secret.sealed --secret-out secret
    """
    _check(secret_out, show_secret=show_secret)
    sealed = read_bytes(source)
    reply = session.run(lambda client: client.decapsulate(key_id, sealed, EncapsulationAlgorithm.ML_KEM))
    deliver(reply, [Part("shared_secret", secret_out)])


def _check(secret_out: str | None, *, show_secret: bool) -> None:
    if secret_out is None and not show_secret:
        refuse_secret_on_terminal("the secret", "Use --secret-out FILE, a pipe or --show-secret.")
    refuse_existing_files(secret_out)
