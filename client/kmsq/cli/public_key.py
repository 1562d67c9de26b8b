"""`kmsq public-key`."""

import click

from kmsq.cli.data import TARGET
from kmsq.cli.files import refuse_terminal, write_bytes
from kmsq.cli.pem import FORMS, PUBLIC_KEY, Form
from kmsq.cli.session import Session, pass_session


@click.command("public-key")
@click.argument("key_id", metavar="KEY")
@click.option("--format", "form", type=FORMS, default=Form.PEM.value, help="How it is written.")
@TARGET
@pass_session
def public_key(session: Session, *, key_id: str, form: str, target: str) -> None:
    r"""
    Write the public half of a key pair, for whoever verifies, encrypts or agrees without kmsq.

    \b
    Example:
      kmsq public-key alias/releases --out releases.pem
      openssl dgst -sha256 -verify releases.pem -signature file.sig file
    """
    if form == Form.DER:
        refuse_terminal(target, "DER")
    reply = session.run(lambda client: client.get_public_key(key_id))
    write_bytes(target, Form(form).write(PUBLIC_KEY, reply.public_key))
