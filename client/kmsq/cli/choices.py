"""What options offer: the values of the API without those that kmsq has not."""

import click

from kmsq_schemas.models.enums import WireEnum
from kmsq_schemas.unsupported import UNSUPPORTED_MEMBERS

_NOT_HERE = frozenset(value for member in UNSUPPORTED_MEMBERS for value in member.values)


def supported(values: type[WireEnum]) -> list[str]:
    """Return the values of an enumeration that kmsq supports, as they travel."""
    return [value.value for value in values if value.value not in _NOT_HERE]


def choice(values: type[WireEnum]) -> "click.Choice[str]":
    """Return an option's type that takes one of them."""
    return click.Choice(supported(values))
