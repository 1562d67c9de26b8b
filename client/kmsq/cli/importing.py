"""`kmsq import`, `kmsq key delete-material`."""

from datetime import UTC, datetime

import click

from kmsq.cli.choices import choice
from kmsq.cli.files import read_bytes
from kmsq.cli.material import MaterialForm, read_material
from kmsq.cli.output import show_model
from kmsq.cli.session import Session, pass_session
from kmsq.importing import STRONGEST_WRAPPING_KEY, import_key_material
from kmsq_schemas.models import WrappingKeySpec

FORMS = click.Choice([form.value for form in MaterialForm])


def moment(_context: click.Context, parameter: click.Parameter, text: str | None) -> datetime | None:
    """Read a time in ISO 8601, in UTC unless it says otherwise."""
    if text is None:
        return None
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{text} is not a time such as 2027-01-31 or 2027-01-31T12:00+01:00"
        raise click.BadParameter(message, param=parameter) from error
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


@click.command("import")
@click.argument("key_id", metavar="KEY")
@click.argument("source", metavar="FILE")
@click.option("--format", "form", type=FORMS, help="How FILE holds it, if not as raw bytes or PEM.")
@click.option(
    "--valid-to", metavar="TIME", callback=moment, help="When it ends: 2027-01-31, in UTC. Without it, it does not end."
)
@click.option("--description", help="What this material is.")
@click.option("--new-material", is_flag=True, help="Add material to a symmetric key, for the next rotation.")
@click.option(
    "--wrapping-key-spec",
    type=choice(WrappingKeySpec),
    default=STRONGEST_WRAPPING_KEY.value,
    help="The key that wraps it on its way.",
)
@pass_session
def import_(
    session: Session,
    *,
    key_id: str,
    source: str,
    form: str | None,
    valid_to: datetime | None,
    description: str | None,
    new_material: bool,
    wrapping_key_spec: str,
) -> None:
    r"""
    Give a key that was created with --origin EXTERNAL its material, from FILE or - for standard input.

    A symmetric key takes 32 bytes, an HMAC key as many as its hash (28, 32, 48, 64), a key pair its private key, in PEM
    or DER. It travels wrapped under a key made for this import. Keep FILE: nobody else has it, and when the material was
    deleted or has expired, only the same bytes make the key work again.

    \b
    Example:
      kmsq key create --origin EXTERNAL --alias alias/mine
      openssl rand -out mine.key 32
      kmsq import 1234abcd-… mine.key --valid-to 2027-01-31
    """
    material = read_material(read_bytes(source), None if form is None else MaterialForm(form))
    reply = session.run(
        lambda client: import_key_material(
            client,
            key_id,
            material,
            valid_to=valid_to,
            description=description,
            new_material=new_material or None,
            wrapping_key_spec=wrapping_key_spec,
        )
    )
    show_model(session, reply)


@click.command("delete-material")
@click.argument("key_id", metavar="KEY")
@click.option(
    "--material", "material_id", metavar="ID", help="Which, if the key has several: see `kmsq rotation list`."
)
@pass_session
def delete_material(session: Session, *, key_id: str, material_id: str | None) -> None:
    r"""
    Delete imported material at once. Without it the key does nothing; `kmsq import` of the same bytes brings it back.

    \b
    Example:
      kmsq key delete-material 1234abcd-…
    """
    reply = session.run(lambda client: client.delete_imported_key_material(key_id, key_material_id=material_id))
    show_model(session, reply)
