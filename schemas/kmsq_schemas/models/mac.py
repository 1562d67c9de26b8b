"""Message authentication codes."""

from typing import Annotated

from pydantic import Field

from kmsq_schemas.models.base import Reply, Request, Unpicklable
from kmsq_schemas.models.enums import MacAlgorithm
from kmsq_schemas.models.types import GrantTokens, KeyId, Message, Signature


class GenerateMacRequest(Unpicklable, Request):
    """Make the code of a message of up to 4,096 bytes."""

    message: Annotated[Message, Field(repr=False)]
    key_id: KeyId
    mac_algorithm: MacAlgorithm
    grant_tokens: GrantTokens | None = None
    dry_run: bool | None = None


class GenerateMacReply(Reply):
    mac: Signature
    mac_algorithm: MacAlgorithm
    key_id: KeyId


class VerifyMacRequest(Unpicklable, Request):
    """Check a message's code. One that is wrong is answered with `KMSInvalidMacException`, never with false."""

    message: Annotated[Message, Field(repr=False)]
    key_id: KeyId
    mac_algorithm: MacAlgorithm
    mac: Signature
    grant_tokens: GrantTokens | None = None
    dry_run: bool | None = None


class VerifyMacReply(Reply):
    key_id: KeyId
    mac_valid: bool
    mac_algorithm: MacAlgorithm
