"""
The API in the words of its reference, called in two ways: over `kmsq.Client` and over boto3.

A test that is written against `Api` holds for both (and for a raw producer, in either encoding). Requests and replies are dicts of wire names, with bytes and aware
datetimes in UTC; members that were not sent are absent.
"""

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

import pytest
from botocore import xform_name
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError
from pydantic import BaseModel, ValidationError

from integration.raw import SUCCESS, Producer
from kmsq import Client
from kmsq.errors import ServiceError
from kmsq.integrations.boto3 import close_connections, kms_client
from kmsq.integrations.line import Line
from kmsq_schemas.constraints import explain
from kmsq_schemas.content import ContentType
from kmsq_schemas.errors import ErrorCode
from kmsq_schemas.models import Request
from kmsq_schemas.models.base import wire_name
from kmsq_schemas.operations import SPECS, Operation

TIMEOUT_SECONDS = 20  # also how long an error that might pass is repeated
KMSQ, BOTO3 = WAYS = ("kmsq", "boto3")
ACCOUNT_ARN = "arn:kmsq:kms:local:000000000000:"

Reply: TypeAlias = dict[str, Any]


class ApiError(Exception):
    """An error that was answered, or that the client found before it sent anything."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


class Api(ABC):
    """The service, as one principal sees it."""

    def __init__(self, principal: str) -> None:
        self.principal = principal

    @property
    def arn(self) -> str:
        """The principal's ARN."""
        return f"arn:kmsq:iam::000000000000:user/{self.principal}"

    @abstractmethod
    async def __call__(self, operation: str, /, **request: object) -> Reply:
        """Ask, and return the reply. Raises `ApiError`."""

    @abstractmethod
    async def pages(self, operation: str, /, **request: object) -> Sequence[Reply]:
        """Ask for all pages of a list."""

    async def error(self, operation: str, /, **request: object) -> ApiError:
        """Ask for what must fail."""
        try:
            reply = await self(operation, **request)
        except ApiError as error:
            return error
        message = f"{operation} succeeded: {sorted(reply)}"
        raise AssertionError(message)

    async def code(self, operation: str, /, **request: object) -> str:
        """Ask for what must fail, and return the error's code."""
        return (await self.error(operation, **request)).code


class ModelApi(Api):
    """Over the models of the contract."""

    @abstractmethod
    async def send(self, operation: Operation, request: Request) -> BaseModel:
        """Send a request, and return the reply. Raises `ApiError`."""

    async def __call__(self, operation: str, /, **request: object) -> Reply:
        name = Operation(operation)
        model = SPECS[name].request
        try:
            message = model.model_validate(request)
        except ValidationError as error:
            raise ApiError(ErrorCode.VALIDATION, explain(error, model)) from None
        return _members(await self.send(name, message))

    async def pages(self, operation: str, /, **request: object) -> Sequence[Reply]:
        pages = [await self(operation, **request)]
        while pages[-1]["Truncated"]:
            pages.append(await self(operation, **request, Marker=pages[-1]["NextMarker"]))
        return pages


class KmsqApi(ModelApi):
    """Over `kmsq.Client`, which lives in a thread of its own, so that tests with loops of their own can share it."""

    def __init__(self, principal: str, line: Line) -> None:
        super().__init__(principal)
        self._line = line

    async def send(self, operation: Operation, request: Request) -> BaseModel:
        call = self._line.submit(operation, request, timeout_seconds=TIMEOUT_SECONDS)
        try:
            return await asyncio.wrap_future(call)
        except ServiceError as error:
            raise ApiError(error.code, error.message) from error


class RawApi(ModelApi):
    """Over a raw producer, in one encoding; what arrives is kept there."""

    def __init__(self, producer: Producer, encoding: ContentType) -> None:
        super().__init__(producer.principal)
        self._producer = producer
        self._encoding = encoding

    async def send(self, operation: Operation, request: Request) -> BaseModel:
        answer = await self._producer.ask(self._producer.message(request, content_type=self._encoding))
        if answer.code != SUCCESS:
            raise ApiError(answer.code, answer.error.message)
        return answer.reply(SPECS[operation].reply)


class Boto3Api(Api):
    """Over boto3."""

    def __init__(self, principal: str, client: BaseClient) -> None:
        super().__init__(principal)
        self.client = client

    async def __call__(self, operation: str, /, **request: object) -> Reply:
        reply = await _in_thread(getattr(self.client, xform_name(operation)), request)
        return _plain_reply(reply)

    async def pages(self, operation: str, /, **request: object) -> Sequence[Reply]:
        paginator = self.client.get_paginator(xform_name(operation))
        pages: Sequence[Mapping[str, object]] = await _in_thread(lambda **more: [*paginator.paginate(**more)], request)
        return [_plain_reply(page) for page in pages]


class Ways:
    """Connections of principals, each opened once."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._urls = urls
        self._lines: dict[str, Line] = {}
        self._clients: dict[str, BaseClient] = {}

    def api(self, way: str, principal: str) -> Api:
        """Return the API as `principal` sees it, over `KMSQ` or `BOTO3`."""
        url = self._urls[principal]
        if way == BOTO3:
            if principal not in self._clients:
                self._clients[principal] = _boto3_client(url)
            return Boto3Api(principal, self._clients[principal])
        if principal not in self._lines:
            self._lines[principal] = Line(Client(url))
        self._lines[principal].opened.result(TIMEOUT_SECONDS)
        return KmsqApi(principal, self._lines[principal])

    def close(self) -> None:
        """Close the connections; a client of boto3's opens a new one if it is called again."""
        for line in self._lines.values():
            line.close()
        close_connections()


class SharedKeys:
    """Keys that no test alters, each made once: RSA keys take up to a second."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], Reply] = {}

    async def get(self, api: Api, spec: str, usage: str) -> Reply:
        """Return the metadata of the administrator's key of `spec` for `usage`."""
        if (spec, usage) not in self._made:
            self._made[spec, usage] = await new_key(api, KeySpec=spec, KeyUsage=usage)
        return self._made[spec, usage]


async def new_key(api: Api, /, **request: object) -> Reply:
    """Create a key and return its metadata."""
    metadata: Reply = (await api("CreateKey", **request))["KeyMetadata"]
    return metadata


async def describe(api: Api, key: str) -> Reply:
    """Return a key's metadata."""
    metadata: Reply = (await api("DescribeKey", KeyId=key))["KeyMetadata"]
    return metadata


def _boto3_client(url: str) -> BaseClient:
    with pytest.MonkeyPatch.context() as environment:  # whatever the caller's settings of AWS are
        for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
            environment.delenv(name, raising=False)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            environment.setenv(name, os.devnull)
        return kms_client(url, config=Config(read_timeout=TIMEOUT_SECONDS, connect_timeout=TIMEOUT_SECONDS))


def _members(model: BaseModel) -> Reply:
    found = {wire_name(name): getattr(model, name) for name in type(model).model_fields}
    return {name: _plain(value) for name, value in found.items() if value is not None}


def _plain(value: object) -> object:
    """Make one value of what either client returns: text instead of enumerations, UTC instead of local time."""
    match value:
        case BaseModel():
            return _members(value)
        case str():
            return str(value)
        case datetime():
            return value.astimezone(UTC)
        case list():
            return [_plain(item) for item in value]
        case dict():
            return {name: _plain(item) for name, item in value.items()}
        case _:
            return value


def _plain_reply(reply: Mapping[str, object]) -> Reply:
    return {name: _plain(value) for name, value in reply.items() if name != "ResponseMetadata"}


async def _in_thread(call: Callable[..., Any], request: Mapping[str, object]) -> Any:
    try:
        return await asyncio.to_thread(call, **request)
    except ParamValidationError as error:
        raise ApiError(ErrorCode.VALIDATION, str(error)) from error
    except ClientError as error:
        raise ApiError(error.response["Error"]["Code"], error.response["Error"]["Message"]) from error
