"""The generated files: current, valid, and of the same opinion as the models."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.protocols import Validator

from kmsq_schemas.codec import ContentType, MalformedBody, decode
from kmsq_schemas.export import check, documents, export, main, page_is_current
from kmsq_schemas.operations import SPECS, Operation

REPOSITORY = Path(__file__).parents[2]
GENERATED = REPOSITORY / "schemas" / "generated"
SCHEMAS = sorted(name for name in documents() if name != "asyncapi.json")
IMPORT = {"KeyId": "k", "ImportToken": "AAEC", "EncryptedKeyMaterial": "AAEC"}


def asyncapi() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(documents()["asyncapi.json"])
    return document


def validator(name: str) -> Validator:
    return Draft202012Validator(json.loads(documents()[name]))


def test_the_committed_files_are_current() -> None:
    assert check(GENERATED) == []
    assert page_is_current(REPOSITORY / "docs" / "api.md")


def test_there_is_a_schema_for_each_message_and_no_other() -> None:
    expected = {f"{operation}.{direction}.json" for operation in Operation for direction in ("request", "reply")}
    assert set(SCHEMAS) == expected | {"Error.reply.json"}


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_file_is_a_json_schema(name: str) -> None:
    schema = json.loads(documents()[name])
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:kmsq:1:{name.removesuffix('.json')}"
    assert schema.get("additionalProperties", True) is (not name.endswith(".request.json"))


@pytest.mark.parametrize(
    ("operation", "body", "valid"),
    [
        (Operation.ENCRYPT, {"KeyId": "k", "Plaintext": "AAEC"}, True),
        (Operation.ENCRYPT, {"KeyId": "k", "Plaintext": "AAEC", "EncryptionContext": {"a": "b"}}, True),
        (Operation.ENCRYPT, {"KeyId": "k", "Plaintext": ""}, False),
        (Operation.ENCRYPT, {"KeyId": "k", "Plaintext": "AA-_"}, False),
        (Operation.ENCRYPT, {"KeyId": "k", "Plaintext": "AAE"}, False),
        (Operation.ENCRYPT, {"KeyId": "k", "Plaintext": "AAEC", "EncryptionContext": {"a": 1}}, False),
        (Operation.ENCRYPT, {"KeyId": "k", "Plaintext": "AAEC", "Extra": 1}, False),
        (Operation.ENCRYPT, {"KeyId": "k" * 2049, "Plaintext": "AAEC"}, False),
        (Operation.GENERATE_DATA_KEY, {"KeyId": "k", "KeySpec": "AES_256"}, True),
        (Operation.GENERATE_DATA_KEY, {"KeyId": "k"}, False),
        (Operation.GENERATE_DATA_KEY, {"KeyId": "k", "KeySpec": "AES_256", "NumberOfBytes": 32}, False),
        (Operation.CREATE_KEY, {"Tags": [{"TagKey": "a", "TagValue": ""}]}, True),
        (Operation.CREATE_KEY, {"Tags": [{"TagKey": "", "TagValue": ""}]}, False),
        (Operation.CREATE_KEY, {"Policy": "{}\n"}, True),
        (Operation.CREATE_KEY, {"Policy": "{}\u0100"}, False),
        (Operation.CREATE_ALIAS, {"AliasName": "alias/a", "TargetKeyId": "k"}, True),
        (Operation.LIST_ALIASES, {"Limit": 101}, False),
        (Operation.GET_ACCOUNT_POLICY, {}, True),
        (Operation.CREATE_GRANT, {"KeyId": "k", "Operations": ["Sign"], "GranteePrincipal": "alice"}, True),
        (Operation.CREATE_GRANT, {"KeyId": "k", "Operations": ["Sign"]}, False),
        (Operation.CREATE_GRANT, {"KeyId": "k", "Operations": ["Fly"], "GranteePrincipal": "alice"}, False),
        (Operation.LIST_GRANTS, {"KeyId": "k", "GranteePrincipal": "a"}, True),
        (Operation.LIST_GRANTS, {"KeyId": "k", "GranteePrincipal": "a", "GranteeServicePrincipal": "a.b.c"}, False),
        (Operation.LIST_RETIRABLE_GRANTS, {"RetiringPrincipal": "alice"}, True),
        (Operation.LIST_RETIRABLE_GRANTS, {}, False),
        (Operation.RETIRE_GRANT, {"GrantToken": "t", "DryRun": True}, True),
        (Operation.RETIRE_GRANT, {"KeyId": "k", "GrantId": "g"}, True),
        (Operation.RETIRE_GRANT, {"KeyId": "k"}, False),
        (Operation.RETIRE_GRANT, {"GrantToken": "t", "KeyId": "k"}, False),
        (Operation.RETIRE_GRANT, {"GrantToken": "t", "KeyId": "k", "GrantId": "g"}, False),
        (Operation.IMPORT_KEY_MATERIAL, IMPORT | {"ValidTo": 1}, True),
        (Operation.IMPORT_KEY_MATERIAL, IMPORT, False),
        (Operation.IMPORT_KEY_MATERIAL, IMPORT | {"ExpirationModel": "KEY_MATERIAL_EXPIRES"}, False),
        (Operation.IMPORT_KEY_MATERIAL, IMPORT | {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}, True),
        (
            Operation.IMPORT_KEY_MATERIAL,
            IMPORT | {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE", "ValidTo": 1},
            False,
        ),
    ],
)
def test_schema_and_model_agree(operation: Operation, body: dict[str, Any], *, valid: bool) -> None:
    by_schema = by_model = True
    try:
        validator(f"{operation}.request.json").validate(body)
    except ValidationError:
        by_schema = False
    try:
        decode(SPECS[operation].request, json.dumps(body).encode(), ContentType.JSON)
    except MalformedBody:
        by_model = False
    assert (by_schema, by_model) == (valid, valid)


def test_export_writes_what_differs_and_removes_what_is_gone(tmp_path: Path) -> None:
    assert export(tmp_path) == sorted(documents())
    assert export(tmp_path) == []
    (tmp_path / "Encrypt.request.json").write_text("{}")
    (tmp_path / "Decrypt.reply.json").unlink()
    (tmp_path / "Forgotten.request.json").write_text("{}")
    expected = ["Decrypt.reply.json", "Encrypt.request.json", "Forgotten.request.json"]
    assert check(tmp_path) == expected
    assert export(tmp_path) == expected
    assert check(tmp_path) == []
    assert not (tmp_path / "Forgotten.request.json").exists()


def test_the_command_reports_drift(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", str(tmp_path)]) == 1
    assert main([str(tmp_path)]) == 0
    assert "written: " in capsys.readouterr().out
    assert main(["--check", str(tmp_path)]) == 0
    assert capsys.readouterr().out == ""


def test_without_a_folder_the_command_minds_the_page_of_the_api_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--check"]) == 1
    assert not (tmp_path / "docs").exists()
    assert main([]) == 0
    assert main(["--check"]) == 0
    capsys.readouterr()
    page = tmp_path / "docs" / "api.md"
    page.write_text(page.read_text(encoding="utf-8").replace("kmsq.slow", "kmsq.fast"), encoding="utf-8")
    assert main(["--check"]) == 1
    assert capsys.readouterr().out == f"differs: {Path('docs/api.md')}\n"
    assert main([]) == 0
    assert page_is_current(page)


def test_a_folder_of_one_s_own_gets_no_page(tmp_path: Path) -> None:
    assert main([str(tmp_path / "schemas")]) == 0
    assert {path.suffix for path in (tmp_path / "schemas").iterdir()} == {".json"}


def references(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [found for value in node.values() for found in references(value)]
    if isinstance(node, list):
        return [found for value in node for found in references(value)]
    return []


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = asyncapi()
    found = references(document)
    assert len(found) > len(Operation) * 5
    for reference in found:
        if reference.startswith("./"):
            assert reference.removeprefix("./") in documents()
            continue
        node: Any = document
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def test_the_asyncapi_document_describes_every_operation() -> None:
    document = asyncapi()
    assert document["asyncapi"] == "3.0.0"
    assert document["operations"].keys() == set(Operation)
    assert document["channels"].keys() == {*Operation, "replies"}
    for name, operation in document["operations"].items():
        assert operation["action"] == "receive"
        assert operation["summary"].endswith(".")
        assert operation["channel"]["$ref"] == f"#/channels/{name}"
        assert document["channels"][name]["address"] == f"{{principal}}.{name}"
        replies = [reference["$ref"].rsplit("/", 1)[1] for reference in operation["reply"]["messages"]]
        assert replies == [f"{name}Reply", "ErrorReply"]
