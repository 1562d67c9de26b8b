"""Both codecs take exactly the messages and refuse everything near them, without repeating what they were given."""

import base64
import json
from typing import Any

import cbor2
import pytest

from kmsq_schemas.codec import ContentType, MalformedBody, decode, encode
from kmsq_schemas.models import (
    CreateKeyRequest,
    DecryptRequest,
    DescribeKeyReply,
    EncryptReply,
    EncryptRequest,
    GenerateRandomRequest,
    Tag,
)

JSON, CBOR = ContentType.JSON, ContentType.CBOR
GOOD = b'{"KeyId":"k","Plaintext":"AAEC"}'


def refusal(model: type[Any], body: bytes, content_type: ContentType) -> str:
    with pytest.raises(MalformedBody) as caught:
        decode(model, body, content_type)
    # Neither may hold a parser's exception, which holds the body.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return str(caught.value)


def test_json_writes_the_wire_names_standard_base64_and_no_nulls() -> None:
    request = EncryptRequest(key_id="k", plaintext=b"\xfb\xff\xfe\xff", encryption_context={"a": "ä"})
    assert encode(request, JSON) == '{"KeyId":"k","Plaintext":"+//+/w==","EncryptionContext":{"a":"ä"}}'.encode()


def test_cbor_writes_byte_strings() -> None:
    request = DecryptRequest(ciphertext_blob=b"\xfb\xff", dry_run=False)
    assert cbor2.loads(encode(request, CBOR)) == {"CiphertextBlob": b"\xfb\xff", "DryRun": False}


def test_both_codecs_read_the_same_message() -> None:
    expected = EncryptRequest(key_id="k", plaintext=b"\x00\x01\x02")
    assert decode(EncryptRequest, GOOD, JSON) == expected
    assert decode(EncryptRequest, cbor2.dumps({"KeyId": "k", "Plaintext": b"\x00\x01\x02"}), CBOR) == expected


def test_space_around_a_json_value_is_allowed() -> None:
    assert decode(EncryptRequest, b" \r\n\t" + GOOD + b"\n", JSON).key_id == "k"


def test_an_explicit_null_is_an_absent_member() -> None:
    assert decode(EncryptRequest, GOOD[:-1] + b',"DryRun":null}', JSON).dry_run is None


def test_escaped_characters_are_allowed_in_json() -> None:
    body = rb'{"KeyId":"\u00e4\ud83d\udd11\\ud800","Plaintext":"AAEC"}'
    assert decode(EncryptRequest, body, JSON).key_id == "ä🔑\\ud800"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "character 0"),
        (b"{", "character 1"),
        (b"null", "'body'"),
        (b"[]", "'body'"),
        (b'"k"', "'body'"),
        (GOOD + b"{}", "something follows"),
        (GOOD + b"\x00", "something follows"),
        (GOOD + b"\xc2\xa0", "something follows"),
        (b"\xef\xbb\xbf" + GOOD, "character 0"),
        (GOOD.decode().encode("utf-16"), "no UTF-8"),
        (b'{"KeyId":"\xff","Plaintext":"AAEC"}', "no UTF-8"),
        (b'{"KeyId":"\xed\xa0\x80","Plaintext":"AAEC"}', "no UTF-8"),
        (b'{"KeyId":"k","KeyId":"k","Plaintext":"AAEC"}', "same name twice"),
        (b'{"KeyId":"k","Key\\u0049d":"k","Plaintext":"AAEC"}', "same name twice"),
        (GOOD[:-1] + b',"EncryptionContext":{"a":"b","a":"b"}}', "same name twice"),
        (rb'{"KeyId":"\ud800","Plaintext":"AAEC"}', "lone surrogate"),
        (rb'{"KeyId":"\udc00\ud800","Plaintext":"AAEC"}', "lone surrogate"),
        (GOOD[:-1] + rb',"EncryptionContext":{"\ud800":"b"}}', "lone surrogate"),
        (GOOD[:-1] + rb',"EncryptionContext":{"a":"\udfff"}}', "lone surrogate"),
        (b'{"KeyId":"k\n","Plaintext":"AAEC"}', "character 11"),
        (b"{'KeyId':'k'}", "character 1"),
        (b"[" * 200_000, "too deeply"),
        (b'{"a":' * 200_000, "too deeply"),
    ],
)
def test_json_that_is_not_exactly_json_is_refused(body: bytes, reason: str) -> None:
    assert reason in refusal(EncryptRequest, body, JSON)


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("NaN", "NaN and Infinity"),
        ("Infinity", "NaN and Infinity"),
        ("-Infinity", "NaN and Infinity"),
        ("1e999", "out of range"),
        ("18446744073709551616", "64 bits"),
        ("-9223372036854775809", "64 bits"),
        ("1" * 100_000, "64 bits"),
        ("01", "character"),
        ("+1", "character"),
        ("1.0", "'numberOfBytes' failed to satisfy constraint: Member must be an integer"),
        ('"1"', "'numberOfBytes' failed to satisfy constraint: Member must be an integer"),
        ("true", "'numberOfBytes' failed to satisfy constraint: Member must be an integer"),
        ("18446744073709551615", "Member must have value less than or equal to 1024"),
        ("0", "Member must have value greater than or equal to 1"),
    ],
)
def test_a_json_number_is_exactly_an_integer_of_64_bits(number: str, reason: str) -> None:
    assert reason in refusal(GenerateRandomRequest, b'{"NumberOfBytes":%s}' % number.encode(), JSON)


@pytest.mark.parametrize(
    "text",
    ["AAE", "AAEC=", "AAEC====", "AAE=C", "AA E", "AAEC\\n", " AAEC", "AA-_", "AB==", "AAF=", "====", "A===", "AÄEC"],
)
def test_base64_is_standard_padded_and_canonical(text: str) -> None:
    message = refusal(EncryptRequest, f'{{"KeyId":"k","Plaintext":"{text}"}}'.encode(), JSON)
    assert message == (
        "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: "
        "Member must be canonical base64: standard alphabet, padded"
    )


@pytest.mark.parametrize(("size", "accepted"), [(0, False), (1, True), (4096, True), (4097, False)])
@pytest.mark.parametrize("content_type", ContentType)
def test_lengths_of_blobs_count_bytes(size: int, content_type: ContentType, *, accepted: bool) -> None:
    blob = bytes(size)
    value = base64.b64encode(blob).decode() if content_type is JSON else blob
    members = {"KeyId": "k", "Plaintext": value}
    body = json.dumps(members).encode() if content_type is JSON else cbor2.dumps(members)
    if accepted:
        assert len(decode(EncryptRequest, body, content_type).plaintext) == size
    else:
        assert "Value at 'plaintext'" in refusal(EncryptRequest, body, content_type)


NOT_CBOR = {
    "empty": b"",
    "truncated": cbor2.dumps({"KeyId": "k"})[:-1],
    "trailing byte": cbor2.dumps({"KeyId": "k", "Plaintext": b"p"}) + b"\x00",
    "trailing item": cbor2.dumps({"KeyId": "k", "Plaintext": b"p"}) * 2,
    "duplicate key": bytes.fromhex("a2654b65794964616b654b65794964616b"),
    "duplicate key, differently written": bytes.fromhex("a2654b65794964616b78054b65794964616b"),
    "indefinite map": bytes.fromhex("bf654b65794964616bff"),
    "indefinite text": bytes.fromhex("a1654b657949647f616bff"),
    "indefinite bytes": bytes.fromhex("a169506c61696e746578745f4101ff"),
    "indefinite list": bytes.fromhex("a1654b657949649fff"),
    "break alone": b"\xff",
    "integer key": bytes.fromhex("a10102"),
    "byte string key": bytes.fromhex("a1454b65794964616b"),
    "list key": bytes.fromhex("a18001"),
    "map key": bytes.fromhex("a1a001"),
    "reserved length": b"\x1c",
    "reserved simple value": b"\xf8\x05",
    "invalid utf-8": bytes.fromhex("a1654b6579496461ff"),
    "lone surrogate": bytes.fromhex("a1654b6579496463eda080"),
    "list of 2**62 items": bytes.fromhex("9b4000000000000000"),
    "bytes of 2**62": bytes.fromhex("5b4000000000000000"),
    "nine levels": b"\x81" * 9 + b"\x00",
    "100,000 levels": b"\x81" * 100_000 + b"\x00",
}


@pytest.mark.parametrize("body", NOT_CBOR.values(), ids=NOT_CBOR.keys())
def test_cbor_that_is_not_exactly_one_plain_item_is_refused(body: bytes) -> None:
    # A reply ignores unknown members, so that nothing but the reader can refuse here.
    assert "Body is not valid CBOR" in refusal(DescribeKeyReply, body, CBOR)


@pytest.mark.parametrize("content", ["00", "4101", "6161", "820101", "a0"])
def test_cbor_knows_no_tag(content: str) -> None:
    for tag in (*range(300), 1004, 43000, 55799, 2**16, 2**32, 2**64 - 1):
        head = bytes([0xDB]) + tag.to_bytes(8)
        body = bytes.fromhex("a16158") + head + bytes.fromhex(content)
        assert "without tags" in refusal(EncryptReply, body, CBOR)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("KeyId", b"k"),
        ("Plaintext", "cA=="),
        ("Plaintext", "p"),
        ("EncryptionAlgorithm", b"SYMMETRIC_DEFAULT"),
        ("EncryptionContext", {"a": b"b"}),
        ("EncryptionContext", [["a", "b"]]),
        ("GrantTokens", {"a": "b"}),
        ("DryRun", 1),
        ("DryRun", cbor2.undefined),
    ],
)
def test_cbor_types_are_never_converted(member: str, value: object) -> None:
    body = cbor2.dumps({"KeyId": "k", "Plaintext": b"p", member: value})
    place = member[0].lower() + member[1:]
    assert refusal(EncryptRequest, body, CBOR).startswith(f"1 validation error detected: Value at '{place}' failed")


@pytest.mark.parametrize("content_type", ContentType)
def test_the_python_names_are_no_wire_names(content_type: ContentType) -> None:
    plaintext = "cA==" if content_type is JSON else b"p"
    value = {"key_id": "k", "Plaintext": plaintext}
    body = json.dumps(value).encode() if content_type is JSON else cbor2.dumps(value)
    message = refusal(EncryptRequest, body, content_type)
    assert "'keyId' failed to satisfy constraint: Member must not be null" in message
    assert "'key_id' failed to satisfy constraint: Member is not known" in message


def test_replies_ignore_what_a_younger_version_added() -> None:
    body = b'{"CiphertextBlob":"AAEC","KeyId":"k","EncryptionAlgorithm":"SYMMETRIC_DEFAULT","Younger":{"A":[1]}}'
    assert decode(EncryptReply, body, JSON).ciphertext_blob == b"\x00\x01\x02"


def test_structures_inside_a_request_are_strict_too() -> None:
    body = b'{"Tags":[{"TagKey":"a","TagValue":"b","Extra":1}]}'
    assert "'tags.1.member.Extra'" in refusal(CreateKeyRequest, body, JSON)
    assert decode(CreateKeyRequest, body.replace(b',"Extra":1', b""), JSON).tags == [Tag(tag_key="a", tag_value="b")]
