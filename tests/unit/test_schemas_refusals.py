"""What a refused body is told: the place and the rule, in the words of AWS KMS, and never one of its own values."""

import base64
import json
from typing import Any

import cbor2
import pytest

from kmsq_schemas.codec import ContentType, MalformedBody, decode
from kmsq_schemas.constraints import UNKNOWN_NAME_MAX_CHARS
from kmsq_schemas.models import (
    CreateKeyRequest,
    DeleteAliasRequest,
    EncryptRequest,
    GenerateDataKeyRequest,
    ListKeysRequest,
)
from kmsq_schemas.models.base import Request

JSON = ContentType.JSON
CANARY = "CaNaRy-5ecret"


def refusal(model: type[Any], body: bytes, content_type: ContentType) -> str:
    with pytest.raises(MalformedBody) as caught:
        decode(model, body, content_type)
    # Neither may hold a parser's exception, which holds the body.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return str(caught.value)


@pytest.mark.parametrize(
    ("model", "body", "message"),
    [
        (
            EncryptRequest,
            '{"Plaintext":"AAEC"}',
            "Value at 'keyId' failed to satisfy constraint: Member must not be null",
        ),
        (
            EncryptRequest,
            '{"KeyId":"","Plaintext":"AAEC"}',
            "Value at 'keyId' failed to satisfy constraint: Member must have length greater than or equal to 1",
        ),
        (
            ListKeysRequest,
            '{"Limit":1001}',
            "Value at 'limit' failed to satisfy constraint: Member must have value less than or equal to 1000",
        ),
        (
            CreateKeyRequest,
            '{"Tags":[{"TagKey":"a","TagValue":"b"},{"TagKey":"","TagValue":"b"}]}',
            "Value at 'tags.2.member.tagKey' failed to satisfy constraint: Member must have length greater than",
        ),
        (
            GenerateDataKeyRequest,
            '{"KeyId":"k","KeySpec":"AES_512"}',
            "Value at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: [AES_256, AES_128]",
        ),
        (
            EncryptRequest,
            '{"KeyId":"k","Plaintext":"AAEC","EncryptionContext":{"a":1}}',
            "Value at 'encryptionContext'",
        ),
    ],
)
def test_messages_read_as_those_of_aws(model: type[Request], body: str, message: str) -> None:
    assert refusal(model, body.encode(), JSON).startswith(f"1 validation error detected: {message}")


@pytest.mark.parametrize(
    ("model", "body", "message"),
    [
        (GenerateDataKeyRequest, '{"KeyId":"k"}', "Please specify either number of bytes or key spec."),
        (
            CreateKeyRequest,
            '{"KeySpec":"HMAC_256"}',
            "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
        ),
        (DeleteAliasRequest, '{"AliasName":"a"}', 'Alias must start with the prefix "alias/"'),
    ],
)
def test_a_rule_beside_the_service_model_is_no_validation_error_that_is_counted(
    model: type[Request], body: str, message: str
) -> None:
    assert refusal(model, body.encode(), JSON) == message


def test_the_name_of_an_unknown_member_is_cut_and_escaped() -> None:
    body = json.dumps({"KeyId": "k", "Plaintext": "AAEC", "\n🔑" + "x" * 1000: 1}).encode()
    message = refusal(EncryptRequest, body, JSON)
    name = message.split("'")[1]
    assert name.startswith("\\n\\U0001f511xx")
    assert len(name) == UNKNOWN_NAME_MAX_CHARS


def test_a_thousand_mistakes_make_a_short_message() -> None:
    body = json.dumps({"Tags": [{"TagKey": "", "TagValue": ""}] * 1000}).encode()
    message = refusal(CreateKeyRequest, body, JSON)
    assert message.startswith("1000 validation errors detected: ")
    assert message.count("tagKey") == 5


@pytest.mark.parametrize(
    "members",
    [
        {"KeyId": CANARY * 200},
        {"KeyId": [CANARY]},
        {"KeyId": {CANARY: CANARY}},
        {"Plaintext": CANARY},
        {"Plaintext": [CANARY]},
        {"Plaintext": base64.b64encode(CANARY.encode() * 400).decode()},
        {"EncryptionContext": {CANARY: 1}},
        {"EncryptionContext": {CANARY: {CANARY: CANARY}}},
        {"EncryptionContext": {CANARY: CANARY * 1000}},
        {"EncryptionContext": CANARY},
        {"EncryptionAlgorithm": CANARY},
        {"GrantTokens": [CANARY * 1000]},
        {"DryRun": CANARY},
        {"Unknown": CANARY},
    ],
)
@pytest.mark.parametrize("content_type", ContentType)
def test_a_refusal_never_repeats_a_value(members: dict[str, object], content_type: ContentType) -> None:
    plaintext = "AAEC" if content_type is JSON else b"p"
    value = {"KeyId": "k", "Plaintext": plaintext, **members}
    body = json.dumps(value).encode() if content_type is JSON else cbor2.dumps(value)
    assert CANARY not in refusal(EncryptRequest, body, content_type)


@pytest.mark.parametrize("tail", ["", "}", "\\q", "\x01", '","Plaintext":"', '","KeyId":"'])
def test_a_refusal_of_bad_json_never_repeats_a_value(tail: str) -> None:
    assert CANARY not in refusal(EncryptRequest, f'{{"KeyId":"{CANARY}{tail}'.encode(), JSON)
