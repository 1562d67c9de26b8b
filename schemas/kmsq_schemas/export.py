"""Writes the contract for others: a JSON Schema for each message, an AsyncAPI document and the page of the API."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from kmsq_schemas.api_page import api_page
from kmsq_schemas.asyncapi import ASYNCAPI_FILE, asyncapi
from kmsq_schemas.message import ERROR_TYPE, PROTOCOL_VERSION
from kmsq_schemas.models import ErrorReply
from kmsq_schemas.models.base import Reply, Request
from kmsq_schemas.operations import SPECS

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DEFAULT_FOLDER = Path("schemas/generated")
_PAGE = Path("docs/api.md")


def documents() -> Mapping[str, str]:
    """Return every generated file's text by its name. The same contract gives the same bytes."""
    schemas = {f"{ERROR_TYPE}.reply.json": _schema(ErrorReply, f"{ERROR_TYPE}.reply")}
    for operation, spec in SPECS.items():
        schemas[f"{operation}.request.json"] = _schema(spec.request, f"{operation}.request")
        schemas[f"{operation}.reply.json"] = _schema(spec.reply, f"{operation}.reply")
    return {name: _text(document) for name, document in {**schemas, ASYNCAPI_FILE: asyncapi()}.items()}


def export(folder: Path) -> list[str]:
    """Write the files into `folder`, remove those of operations that are gone, and return the names that changed."""
    changed = check(folder)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = documents()
    for name in changed:
        if name in wanted:
            (folder / name).write_text(wanted[name], encoding="utf-8")
        else:
            (folder / name).unlink()
    return changed


def check(folder: Path) -> list[str]:
    """Return the names of files in `folder` that are missing, differ or should not be there."""
    wanted = documents()
    found = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.json"))}
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def main(arguments: Sequence[str]) -> int:
    """Run `[--check] [folder]`, without a folder on those of the repository and its page; 1 if `--check` found drift."""
    checking = "--check" in arguments
    folders = [Path(argument) for argument in arguments if argument != "--check"]
    folder = folders[0] if folders else _DEFAULT_FOLDER
    changed = [folder / name for name in (check(folder) if checking else export(folder))]
    if not folders and not page_is_current(_PAGE):
        changed.append(_PAGE)
        if not checking:
            _PAGE.parent.mkdir(parents=True, exist_ok=True)
            _PAGE.write_text(api_page(), encoding="utf-8")
    for path in changed:
        sys.stdout.write(f"{'differs' if checking else 'written'}: {path}\n")
    return 1 if checking and changed else 0


def page_is_current(path: Path) -> bool:
    """Whether the page of the API is there and says what the contract says."""
    return path.exists() and path.read_text(encoding="utf-8") == api_page()


class _Plain(GenerateJsonSchema):
    """Describes a message as it is written: a member without a value is left out, never null."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """Describe the value only."""
        return self.generate_inner(schema["schema"])

    def list_schema(self, schema: core_schema.ListSchema) -> JsonSchemaValue:
        """Describe the entries, of which some may be null: one that is left out would move all that follow."""
        described = super().list_schema(schema)
        if schema.get("items_schema", {}).get("type") == "nullable":
            described["items"] = {"anyOf": [described["items"], {"type": "null"}]}
        return described

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Leave the default out: it is null everywhere."""
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, _schema: object) -> bool:
        """Never: a title derived from the name says nothing."""
        return False


def _schema(model: type[Request | Reply], name: str) -> dict[str, object]:
    described = model.model_json_schema(by_alias=True, schema_generator=_Plain)
    return {"$schema": _DIALECT, "$id": f"urn:kmsq:{PROTOCOL_VERSION}:{name}", **described}


def _text(document: Mapping[str, object]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
