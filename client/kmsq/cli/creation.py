"""`kmsq key create`."""

from collections.abc import Mapping

import click

from kmsq.cli.choices import choice
from kmsq.cli.data import pairs
from kmsq.cli.output import show_model
from kmsq.cli.policies import read_policy
from kmsq.cli.session import Session, pass_session
from kmsq.client import Client
from kmsq_schemas.models import KeyMetadata, KeySpec, KeyUsage, Origin

# Where a spec has one usage the API wants it said all the same.
_ONLY_USAGES: Mapping[str, KeyUsage] = {
    KeySpec.ECC_SECG_P256K1: KeyUsage.SIGN_VERIFY,
    KeySpec.ECC_NIST_EDWARDS25519: KeyUsage.SIGN_VERIFY,
    KeySpec.ML_DSA_44: KeyUsage.SIGN_VERIFY,
    KeySpec.ML_DSA_65: KeyUsage.SIGN_VERIFY,
    KeySpec.ML_DSA_87: KeyUsage.SIGN_VERIFY,
    KeySpec.HMAC_224: KeyUsage.GENERATE_VERIFY_MAC,
    KeySpec.HMAC_256: KeyUsage.GENERATE_VERIFY_MAC,
    KeySpec.HMAC_384: KeyUsage.GENERATE_VERIFY_MAC,
    KeySpec.HMAC_512: KeyUsage.GENERATE_VERIFY_MAC,
    KeySpec.ML_KEM_768: KeyUsage.ENCAPSULATE_DECAPSULATE,
    KeySpec.ML_KEM_1024: KeyUsage.ENCAPSULATE_DECAPSULATE,
}


@click.command()
@click.option("--description", help="What the key is for.")
@click.option("--alias", "alias_name", metavar="alias/NAME", help="Create this alias for it, too.")
@click.option("--spec", type=choice(KeySpec), metavar="SPEC", help="The kind of key: see above.")
@click.option("--usage", type=choice(KeyUsage), metavar="USAGE", help="What it may be used for, if there is a choice.")
@click.option("--origin", type=choice(Origin), help="EXTERNAL: without material, until `kmsq import` brings some.")
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", callback=pairs, help="A tag. Repeatable.")
@click.option("--policy", "policy_file", metavar="FILE", help="Its policy, from a file or - for standard input.")
@pass_session
def create(
    session: Session,
    *,
    description: str | None,
    alias_name: str | None,
    spec: str | None,
    usage: str | None,
    origin: str | None,
    tags: dict[str, str],
    policy_file: str | None,
) -> None:
    r"""
    Create a key: symmetric, for encryption, unless told otherwise.

    \b
    SPEC                                           USAGE
      SYMMETRIC_DEFAULT                            ENCRYPT_DECRYPT
      RSA_2048, RSA_3072, RSA_4096                 SIGN_VERIFY or ENCRYPT_DECRYPT
      ECC_NIST_P256, ECC_NIST_P384, ECC_NIST_P521  SIGN_VERIFY or KEY_AGREEMENT
      ECC_SECG_P256K1, ECC_NIST_EDWARDS25519       SIGN_VERIFY
      ML_DSA_44, ML_DSA_65, ML_DSA_87              SIGN_VERIFY
      HMAC_224, HMAC_256, HMAC_384, HMAC_512       GENERATE_VERIFY_MAC
      ML_KEM_768, ML_KEM_1024                      ENCAPSULATE_DECAPSULATE

    \b
    Example:
      kmsq key create --alias alias/orders --description "what customers ordered"
      kmsq key create --alias alias/releases --spec ECC_NIST_P256 --usage SIGN_VERIFY --tag team=build
    """
    purpose = usage or _usage_of(spec)
    policy = None if policy_file is None else read_policy(policy_file)

    async def task(client: Client) -> KeyMetadata:
        reply = await client.create_key(
            description=description, key_spec=spec, key_usage=purpose, origin=origin, tags=tags or None, policy=policy
        )
        if alias_name is not None:
            # Printed before the alias is tried: a key that nobody has heard of would be lost.
            click.echo(f"created {reply.key_metadata.key_id}", err=True)
            await client.create_alias(alias_name, reply.key_metadata.key_id)
        return reply.key_metadata

    show_model(session, session.run(task))


def _usage_of(spec: str | None) -> str | None:
    if spec in (None, KeySpec.SYMMETRIC_DEFAULT):
        return None
    usage = _ONLY_USAGES.get(spec)
    if usage is None:
        other = KeyUsage.ENCRYPT_DECRYPT if spec.startswith("RSA_") else KeyUsage.KEY_AGREEMENT
        message = f"a key of spec {spec} needs --usage {KeyUsage.SIGN_VERIFY} or --usage {other}"
        raise click.UsageError(message)
    return usage
