"""The field types of the messages: lengths, ranges and patterns as in the service model."""

import binascii
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from kmsq_schemas import limits
from kmsq_schemas.constraints import CONSTRAINT, RULE
from kmsq_schemas.content import ContentType

_BASE64_PATTERN = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
_JSON = ContentType.JSON
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z, the last that datetime can hold


def to_base64(value: bytes) -> str:
    """Encode in the standard alphabet, padded (RFC 4648 §4). pydantic's own encoding is the URL-safe one."""
    return binascii.b2a_base64(value, newline=False).decode("ascii")


def from_base64(text: object) -> bytes:
    """Decode what `to_base64` writes, and nothing else."""
    if type(text) is not str:
        raise PydanticCustomError(CONSTRAINT, "Member must be a string of base64")
    try:
        value = binascii.a2b_base64(text)
    except ValueError:
        value = b""
    # The decoder skips foreign characters and ignores stray bits; only the canonical form encodes back to itself.
    if to_base64(value) != text:
        raise PydanticCustomError(CONSTRAINT, "Member must be canonical base64: standard alphabet, padded")
    return value


@dataclass(frozen=True, slots=True)
class BlobField:
    """Bytes: base64 text in JSON, a byte string in CBOR, `bytes` in Python. Lengths count the bytes."""

    max_bytes: int
    min_bytes: int = 1

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Decode base64 where the input came from JSON, then demand bytes."""

        def from_wire(value: object, info: ValidationInfo) -> object:
            return from_base64(value) if info.context is _JSON or info.mode == "json" else value

        return core_schema.with_info_before_validator_function(
            from_wire,
            core_schema.bytes_schema(strict=True, min_length=self.min_bytes, max_length=self.max_bytes),
            serialization=core_schema.plain_serializer_function_ser_schema(
                to_base64, return_schema=core_schema.str_schema(), when_used="json"
            ),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe the JSON form: lengths count characters there."""
        return {
            "type": "string",
            "contentEncoding": "base64",
            "pattern": _BASE64_PATTERN,
            "minLength": 4 * -(-self.min_bytes // 3),
            "maxLength": 4 * -(-self.max_bytes // 3),
        }


@dataclass(frozen=True, slots=True)
class BlobsField:
    """
    A list of bytes, one entry for each item of a batch, in the encodings of `BlobField`; entries of any length.

    The entries are looked at as a list: what costs a call for each of ten thousand is paid where JSON needs it alone.
    """

    nullable: bool = False

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Decode base64 where the input came from JSON, then demand bytes."""

        def from_wire(value: object, info: ValidationInfo) -> object:
            if isinstance(value, list) and (info.context is _JSON or info.mode == "json"):
                return [None if entry is None else from_base64(entry) for entry in value]
            return value

        entry: CoreSchema = core_schema.bytes_schema(strict=True)
        if self.nullable:
            entry = core_schema.nullable_schema(entry)
        return core_schema.with_info_before_validator_function(
            from_wire,
            core_schema.list_schema(entry, strict=True, min_length=1, max_length=limits.BATCH_ITEMS_MAX),
            serialization=core_schema.plain_serializer_function_ser_schema(
                _to_base64_each, return_schema=core_schema.list_schema(core_schema.any_schema()), when_used="json"
            ),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe the JSON form."""
        entry: JsonSchemaValue = {"type": "string", "contentEncoding": "base64", "pattern": _BASE64_PATTERN}
        return {
            "type": "array",
            "items": {"anyOf": [entry, {"type": "null"}]} if self.nullable else entry,
            "minItems": 1,
            "maxItems": limits.BATCH_ITEMS_MAX,
        }


def _to_base64_each(values: list[bytes | None]) -> list[str | None]:
    return [None if value is None else to_base64(value) for value in values]


@dataclass(frozen=True, slots=True)
class TimestampField:
    """A point in time: seconds since 1970 on the wire, to the millisecond; an aware `datetime` in UTC in Python."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Take numbers from the wire, datetimes from Python."""
        return core_schema.with_info_plain_validator_function(
            _to_datetime,
            serialization=core_schema.plain_serializer_function_ser_schema(
                _to_seconds, return_schema=core_schema.float_schema()
            ),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe the wire form."""
        return {"type": "number", "minimum": 0, "maximum": _LAST_SECOND, "description": "seconds since 1970-01-01 UTC"}


def _to_datetime(value: object, info: ValidationInfo) -> datetime:
    if info.context is not None or info.mode == "json":
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise PydanticCustomError(CONSTRAINT, "Member must be a number of seconds since 1970")
        if not 0 <= value <= _LAST_SECOND:  # NaN fails this, too
            raise PydanticCustomError(CONSTRAINT, "Member must be a time between 1970 and 9999")
        return _EPOCH + timedelta(milliseconds=round(value * 1000))
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise PydanticCustomError(CONSTRAINT, "Member must be an aware datetime")
    return _EPOCH + (value - _EPOCH) // timedelta(milliseconds=1) * timedelta(milliseconds=1)


def _to_seconds(value: datetime) -> float:
    return (value - _EPOCH) // timedelta(milliseconds=1) / 1000


def _within_context_limit(context: dict[str, str]) -> dict[str, str]:
    try:
        text = "".join([*context, *context.values()]).encode()
    except UnicodeEncodeError:
        text = None
    if text is None:
        raise PydanticCustomError(CONSTRAINT, "Member must not hold lone surrogates")
    if len(text) + 2 * limits.CONTEXT_LENGTH_BYTES * len(context) > limits.CONTEXT_MAX_BYTES:
        raise PydanticCustomError(
            CONSTRAINT, "Member must have an encoded size of at most {max} bytes", {"max": limits.CONTEXT_MAX_BYTES}
        )
    return context


def _in_alias_namespace(name: str) -> str:
    if not name.startswith("alias/"):
        raise PydanticCustomError(RULE, 'Alias must start with the prefix "alias/"')
    return name


Plaintext = Annotated[bytes, BlobField(limits.PLAINTEXT_MAX_BYTES)]
Ciphertext = Annotated[bytes, BlobField(limits.CIPHERTEXT_MAX_BYTES)]
Message = Annotated[bytes, BlobField(limits.SIGNED_MESSAGE_MAX_BYTES)]
Signature = Annotated[bytes, BlobField(limits.SIGNATURE_MAX_BYTES)]
PublicKey = Annotated[bytes, BlobField(limits.PUBLIC_KEY_MAX_BYTES)]
PrivateKey = Annotated[bytes, BlobField(limits.PRIVATE_KEY_MAX_BYTES)]
SharedSecret = Annotated[bytes, BlobField(limits.SHARED_SECRET_MAX_BYTES)]
AttestationDocument = Annotated[bytes, BlobField(limits.ATTESTATION_MAX_BYTES)]
Blobs = Annotated[list[bytes], BlobsField()]
BlobsOrNulls = Annotated[list[bytes | None], BlobsField(nullable=True)]
Timestamp = Annotated[datetime, TimestampField()]

KeyId = Annotated[str, Field(min_length=1, max_length=limits.KEY_ID_MAX_CHARS)]
Arn = Annotated[str, Field(min_length=limits.ARN_MIN_CHARS, max_length=limits.ARN_MAX_CHARS)]
_AnyAliasName = Annotated[str, Field(min_length=1, max_length=limits.ALIAS_MAX_CHARS, pattern="^[a-zA-Z0-9:/_-]+$")]
AliasName = Annotated[_AnyAliasName, AfterValidator(_in_alias_namespace)]
Description = Annotated[str, Field(max_length=limits.DESCRIPTION_MAX_CHARS)]
Policy = Annotated[
    str, Field(min_length=1, max_length=limits.POLICY_MAX_CHARS, pattern=r"^[\u0009\u000A\u000D\u0020-\u00FF]+$")
]
PolicyName = Annotated[str, Field(min_length=1, max_length=limits.POLICY_NAME_MAX_CHARS, pattern="^[a-zA-Z0-9_]+$")]
KeyMaterialId = Annotated[
    str,
    Field(min_length=limits.KEY_MATERIAL_ID_CHARS, max_length=limits.KEY_MATERIAL_ID_CHARS, pattern="^[a-f0-9]+$"),
]
KeyMaterialDescription = Annotated[
    str, Field(max_length=limits.MATERIAL_DESCRIPTION_MAX_CHARS, pattern=r"^[a-zA-Z0-9:/_ \t\n\v\f\r.-]+$")
]
GrantToken = Annotated[str, Field(min_length=1, max_length=limits.GRANT_TOKEN_MAX_CHARS)]
GrantTokens = Annotated[list[GrantToken], Field(max_length=limits.GRANT_TOKENS_MAX)]
EncryptionContext = Annotated[dict[str, str], AfterValidator(_within_context_limit)]
# One entry for each item of a batch. Each entry's size is the item's own matter, and checked with it.
EncryptionContexts = Annotated[list[dict[str, str] | None], Field(min_length=1, max_length=limits.BATCH_ITEMS_MAX)]
ItemCount = Annotated[int, Field(ge=1, le=limits.BATCH_ITEMS_MAX)]
NumberOfBytes = Annotated[int, Field(ge=1, le=limits.RANDOM_MAX_BYTES)]
Limit = Annotated[int, Field(ge=1, le=limits.PAGE_MAX)]
Marker = Annotated[str, Field(min_length=1, max_length=limits.MARKER_MAX_CHARS, pattern=r"^[\u0020-\u00FF]*$")]
CustomKeyStoreId = Annotated[str, Field(min_length=1, max_length=limits.CUSTOM_KEY_STORE_ID_MAX_CHARS)]
XksKeyId = Annotated[str, Field(min_length=1, max_length=limits.XKS_KEY_ID_MAX_CHARS, pattern="^[a-zA-Z0-9-_.]+$")]
