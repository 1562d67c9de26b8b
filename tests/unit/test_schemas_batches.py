"""Batches on the wire: their shapes in both encodings, and what is refused."""

import json
from typing import Any

import cbor2
import pytest
from jsonschema import Draft202012Validator, ValidationError

from kmsq_schemas import limits, models
from kmsq_schemas.codec import ContentType, MalformedBody, decode, encode
from kmsq_schemas.export import documents
from kmsq_schemas.models import BatchDecryptReply, BatchDecryptRequest, BatchEncryptRequest, BatchRequest
from kmsq_schemas.operations import SPECS, Operation, Queue

JSON, CBOR = ContentType.JSON, ContentType.CBOR
BATCHES = [operation for operation, spec in SPECS.items() if spec.queue is Queue.BATCH]
KEY = "arn:kmsq:kms:local:000000000000:key/00000000-0000-4000-8000-000000000000"
MATERIAL = "0a" * 32
SYMMETRIC = "SYMMETRIC_DEFAULT"
FAILED = [{"Index": 1, "Code": "InvalidCiphertextException", "Message": ""}]
USED = {"KeyId": KEY, "KeyMaterialId": MATERIAL}
NO_LENGTH_EACH = "A list of encryption contexts must have one entry for each item."

# Bodies in JSON; the members in BLOBS are byte strings in CBOR.
BLOBS = {"Plaintexts", "CiphertextBlobs", "Messages", "Macs"}
REQUESTS: dict[str, dict[str, Any]] = {
    "BatchEncrypt": {
        "KeyId": "alias/app",
        "Plaintexts": ["aGVsbG8=", ""],
        "EncryptionContext": {"table": "person"},
        "EncryptionContexts": [{"row": "1"}, None],
        "GrantTokens": ["token"],
    },
    "BatchDecrypt": {"CiphertextBlobs": ["AQI=", "AA=="], "EncryptionContexts": [None, {}], "KeyId": "k"},
    "BatchReEncrypt": {
        "CiphertextBlobs": ["AQI=", "AA=="],
        "SourceEncryptionContexts": [None, {"a": "b"}],
        "DestinationKeyId": "k",
        "DestinationEncryptionContexts": [{"c": "d"}, None],
    },
    "BatchGenerateDataKey": {"KeyId": "k", "NumberOfKeys": 2, "KeySpec": "AES_256", "EncryptionContexts": [None, {}]},
    "BatchGenerateDataKeyWithoutPlaintext": {"KeyId": "k", "NumberOfKeys": 10_000, "NumberOfBytes": 64},
    "BatchGenerateMac": {"KeyId": "k", "Messages": ["bQ=="], "MacAlgorithm": "HMAC_SHA_256"},
}
REPLIES: dict[str, dict[str, Any]] = {
    "BatchEncrypt": {
        "KeyId": KEY,
        "KeyMaterialId": MATERIAL,
        "EncryptionAlgorithm": SYMMETRIC,
        "CiphertextBlobs": ["AQI=", None],
        "Failed": FAILED,
    },
    "BatchDecrypt": {
        "Plaintexts": ["AQI=", None],
        "EncryptionAlgorithm": SYMMETRIC,
        "KeyMaterials": [USED],
        "KeyMaterialIndexes": [0, None],
        "Failed": FAILED,
    },
    "BatchReEncrypt": {
        "CiphertextBlobs": ["AQI=", None],
        "KeyId": KEY,
        "SourceEncryptionAlgorithm": SYMMETRIC,
        "DestinationEncryptionAlgorithm": SYMMETRIC,
        "DestinationKeyMaterialId": MATERIAL,
        "SourceKeyMaterials": [USED],
        "SourceKeyMaterialIndexes": [0, None],
        "Failed": FAILED,
    },
    "BatchGenerateDataKey": {
        "CiphertextBlobs": ["AQI="],
        "Plaintexts": ["AA=="],
        "KeyId": KEY,
        "KeyMaterialId": MATERIAL,
        "Failed": [],
    },
    "BatchGenerateDataKeyWithoutPlaintext": {
        "CiphertextBlobs": [None, "AQI="],
        "KeyId": KEY,
        "KeyMaterialId": MATERIAL,
        "Failed": [],
    },
    "BatchGenerateMac": {"Macs": ["AQI="], "MacAlgorithm": "HMAC_SHA_256", "KeyId": KEY, "Failed": []},
}
EXAMPLES = [
    *((SPECS[operation].request, f"{operation}.request.json", REQUESTS[operation]) for operation in BATCHES),
    *((SPECS[operation].reply, f"{operation}.reply.json", REPLIES[operation]) for operation in BATCHES),
]
every_example = pytest.mark.parametrize(("model", "schema", "body"), EXAMPLES, ids=[name for _, name, _ in EXAMPLES])


def in_cbor(body: dict[str, Any]) -> bytes:
    """Write what stands in `body`, blobs as byte strings."""
    blob = models.types.from_base64
    return cbor2.dumps(
        {
            name: [None if entry is None else blob(entry) for entry in value] if name in BLOBS else value
            for name, value in body.items()
        }
    )


def refusal(model: type[Any], body: dict[str, Any] | bytes, content_type: ContentType = JSON) -> str:
    written = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(MalformedBody) as caught:
        decode(model, written, content_type)
    return str(caught.value)


@every_example
def test_an_example_is_the_same_message_in_both_encodings(model: type[Any], schema: str, body: dict[str, Any]) -> None:
    as_json, as_cbor = json.dumps(body).encode(), in_cbor(body)
    message = decode(model, as_json, JSON)
    assert decode(model, as_cbor, CBOR) == message, schema
    assert json.loads(encode(message, JSON)) == body
    assert cbor2.loads(encode(message, CBOR)) == cbor2.loads(as_cbor)


@every_example
def test_the_json_schema_takes_an_example_and_nothing_shortened(
    model: type[Any], schema: str, body: dict[str, Any]
) -> None:
    validator = Draft202012Validator(json.loads(documents()[schema]))
    validator.validate(body)
    for name, field in model.model_fields.items():
        if field.is_required():
            wire = field.alias or name
            with pytest.raises(ValidationError, match=wire):
                validator.validate({other: value for other, value in body.items() if other != wire})


def test_the_batches_are_those_of_the_queue() -> None:
    assert {operation.value for operation in BATCHES} == REQUESTS.keys() == REPLIES.keys()
    for operation, spec in SPECS.items():
        is_batch = operation in BATCHES
        assert issubclass(spec.request, BatchRequest) is is_batch
        assert spec.max_body_bytes == limits.MESSAGE_MAX_BYTES or not is_batch
        assert not spec.is_change or not is_batch


def test_policies_know_a_batch_as_the_operation_on_one() -> None:
    assert [operation.of_one for operation in BATCHES] == [
        "Encrypt",
        "Decrypt",
        "ReEncrypt",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "GenerateMac",
    ]
    assert {Operation(operation.of_one) for operation in BATCHES} < SPECS.keys()
    assert all(operation.of_one == operation.value for operation in Operation if operation not in BATCHES)


@pytest.mark.parametrize("operation", BATCHES)
def test_the_items_are_counted(operation: Operation) -> None:
    request = decode(SPECS[operation].request, json.dumps(REQUESTS[operation]).encode(), JSON)
    assert isinstance(request, BatchRequest)
    body = REQUESTS[operation]
    blobs = next((value for name, value in body.items() if name in BLOBS), None)
    assert request.item_count == (body["NumberOfKeys"] if blobs is None else len(blobs))


@pytest.mark.parametrize("entry", ["AB==", "AA-_", "AAE", "A A=", " ", "====", "AAEC\n"])
def test_each_entry_is_canonical_base64(entry: str) -> None:
    for name, model in (("Plaintexts", BatchEncryptRequest), ("Messages", models.BatchGenerateMacRequest)):
        body = REQUESTS[model.__name__.removesuffix("Request")] | {name: ["AAEC", entry], "EncryptionContexts": None}
        body = {member: value for member, value in body.items() if value is not None}
        assert "canonical base64" in refusal(model, body)


@pytest.mark.parametrize("entry", [None, 1, True, [], {}, ["AAEC"]])
def test_an_entry_of_a_request_is_a_blob_and_never_null(entry: object) -> None:
    body = {"CiphertextBlobs": ["AAEC", entry]}
    assert "'ciphertextBlobs" in refusal(BatchDecryptRequest, body)
    assert "'ciphertextBlobs.2.member'" in refusal(
        BatchDecryptRequest, cbor2.dumps({"CiphertextBlobs": [b"x", entry]}), CBOR
    )


def test_cbor_takes_no_text_for_bytes_and_no_bytes_for_text() -> None:
    text = {"CiphertextBlobs": ["AAEC"]}
    assert "Member must be a byte string" in refusal(BatchDecryptRequest, cbor2.dumps(text), CBOR)
    in_bytes = {"CiphertextBlobs": [b"x"], "EncryptionContexts": [{"a": b"b"}]}
    assert "Member must be a string" in refusal(BatchDecryptRequest, cbor2.dumps(in_bytes), CBOR)


@pytest.mark.parametrize("blobs", [None, "AAEC", {"0": "AAEC"}, 1])
def test_the_items_are_a_list(blobs: object) -> None:
    body = {"CiphertextBlobs": blobs}
    assert "'ciphertextBlobs' failed" in refusal(BatchDecryptRequest, body)
    assert "'ciphertextBlobs' failed" in refusal(BatchDecryptRequest, cbor2.dumps(body), CBOR)


@pytest.mark.parametrize("count", [0, limits.BATCH_ITEMS_MAX + 1])
def test_a_batch_has_one_to_ten_thousand_items(count: int) -> None:
    message = "less than or equal to 10000" if count else "greater than or equal to 1"
    many = {"CiphertextBlobs": ["AA=="] * count}
    assert message in refusal(BatchDecryptRequest, many)
    assert message in refusal(BatchDecryptRequest, in_cbor(many), CBOR)
    keys = {"KeyId": "k", "NumberOfKeys": count, "KeySpec": "AES_128"}
    assert message in refusal(models.BatchGenerateDataKeyRequest, keys)
    most = [b""] * limits.BATCH_ITEMS_MAX
    assert decode(BatchDecryptRequest, cbor2.dumps({"CiphertextBlobs": most}), CBOR).ciphertext_blobs == most


@pytest.mark.parametrize("contexts", [[{}], [{}, None, {}], [None] * 3])
@pytest.mark.parametrize(
    ("operation", "name"),
    [
        (Operation.BATCH_ENCRYPT, "EncryptionContexts"),
        (Operation.BATCH_DECRYPT, "EncryptionContexts"),
        (Operation.BATCH_RE_ENCRYPT, "SourceEncryptionContexts"),
        (Operation.BATCH_RE_ENCRYPT, "DestinationEncryptionContexts"),
        (Operation.BATCH_GENERATE_DATA_KEY, "EncryptionContexts"),
    ],
)
def test_there_is_a_context_for_each_item(operation: Operation, name: str, contexts: list[Any]) -> None:
    assert refusal(SPECS[operation].request, REQUESTS[operation] | {name: contexts}) == NO_LENGTH_EACH


@pytest.mark.parametrize("contexts", [[], {}, [[], []], ["a", "b"], [{"a": None}, {}], [{"a": 1}, {}]])
def test_a_context_of_an_item_is_a_map_of_strings(contexts: object) -> None:
    refused = refusal(BatchDecryptRequest, REQUESTS["BatchDecrypt"] | {"EncryptionContexts": contexts})
    assert "'encryptionContexts" in refused


@pytest.mark.parametrize("operation", BATCHES)
def test_a_member_that_nobody_knows_is_refused(operation: Operation) -> None:
    for unknown in ("DryRun", "EncryptionAlgorithm", "Plaintext", "CiphertextBlob", "encryption_contexts"):
        assert "Member is not known" in refusal(SPECS[operation].request, REQUESTS[operation] | {unknown: "x"})


def test_no_name_is_there_twice_not_in_the_context_of_an_item_either() -> None:
    body = b'{"CiphertextBlobs":["AA=="],"EncryptionContexts":[{"a":"b","a":"b"}]}'
    assert "same name twice" in refusal(BatchDecryptRequest, body)
    assert "same name twice" in refusal(BatchDecryptRequest, b'{"CiphertextBlobs":["AA=="],"CiphertextBlobs":["AA=="]}')
    twice = b"\xa2" + 2 * (cbor2.dumps("CiphertextBlobs") + cbor2.dumps([b"x"]))
    assert "unique text keys" in refusal(BatchDecryptRequest, twice, CBOR)


def test_a_refusal_of_ten_thousand_items_names_a_few() -> None:
    refused = refusal(BatchDecryptRequest, cbor2.dumps({"CiphertextBlobs": ["x"] * limits.BATCH_ITEMS_MAX}), CBOR)
    assert refused.startswith("10000 validation errors detected: Value at 'ciphertextBlobs.1.member'")
    assert refused.count("Value at") == 5


def test_an_item_of_any_length_is_the_service_s_to_judge() -> None:
    lengths = [0, 1, limits.PLAINTEXT_MAX_BYTES + 1, limits.CIPHERTEXT_MAX_BYTES + 1]
    request = BatchEncryptRequest(key_id="k", plaintexts=[b"x" * length for length in lengths])
    for content_type in ContentType:
        assert decode(BatchEncryptRequest, encode(request, content_type), content_type) == request


def test_an_unknown_member_of_a_reply_is_ignored() -> None:
    younger = REPLIES["BatchDecrypt"] | {"New": 1, "Failed": [FAILED[0] | {"New": 1}]}
    assert decode(BatchDecryptReply, json.dumps(younger).encode(), JSON).failed[0].code == "InvalidCiphertextException"
