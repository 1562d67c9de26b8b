"""The contract as an AsyncAPI 3 document, seen from the worker: it receives requests and replies to them."""

import inspect

from kmsq_schemas import message
from kmsq_schemas.codec import ContentType
from kmsq_schemas.models.base import ErrorReply, Reply, Request
from kmsq_schemas.names import REPLIES_EXCHANGE, REQUESTS_EXCHANGE
from kmsq_schemas.operations import SPECS, OperationSpec

ASYNCAPI_FILE = "asyncapi.json"
_VERSION = "3.0.0"
_BINDING_VERSION = "0.3.0"  # of AsyncAPI's AMQP binding
_REPLIES = "replies"

Document = dict[str, object]


def asyncapi() -> Document:
    """Build the document; schemas are references to the files beside it."""
    return {
        "asyncapi": _VERSION,
        "info": {
            "title": "kmsq",
            "version": str(message.PROTOCOL_VERSION),
            "description": "A key management service whose front door is RabbitMQ. The same shapes travel as "
            "application/json (blobs are base64 text) and as application/cbor (blobs are byte strings).",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": ContentType.JSON.value,
        "channels": {**{spec.operation.value: _request_channel(spec) for spec in SPECS.values()}, _REPLIES: _replies()},
        "operations": {spec.operation.value: _operation(spec) for spec in SPECS.values()},
        "components": {
            "messages": {name: body for spec in SPECS.values() for name, body in _messages(spec).items()}
            | {"ErrorReply": _message(message.ERROR_TYPE, "reply", ErrorReply)},
            "messageTraits": {"request": _request_trait(), "reply": _reply_trait()},
        },
    }


def _request_channel(spec: OperationSpec) -> Document:
    name = f"{spec.operation}Request"
    return {
        "address": f"{{principal}}.{spec.operation}",
        "title": f"{spec.operation} requests, which queue {spec.queue} takes",
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        "parameters": {"principal": {"description": "The broker user of the producer."}},
        "bindings": _binding(REQUESTS_EXCHANGE),
    }


def _replies() -> Document:
    names = [f"{spec.operation}Reply" for spec in SPECS.values()] + ["ErrorReply"]
    return {
        "address": "{principal}.{instance}",
        "title": "The replies to one connection of a producer",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "parameters": {
            "principal": {"description": "The broker user of the producer."},
            "instance": {"description": "The last part of the request's reply_to."},
        },
        "bindings": _binding(REPLIES_EXCHANGE),
    }


def _binding(exchange: str) -> Document:
    described = {"name": exchange, "type": "topic", "durable": True, "autoDelete": False}
    return {"amqp": {"is": "routingKey", "exchange": described, "bindingVersion": _BINDING_VERSION}}


def _operation(spec: OperationSpec) -> Document:
    replies = (f"{spec.operation}Reply", "ErrorReply")
    return {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{spec.operation}"},
        "summary": _summary(spec.request),
        "messages": [{"$ref": f"#/channels/{spec.operation}/messages/{spec.operation}Request"}],
        "reply": {
            "channel": {"$ref": f"#/channels/{_REPLIES}"},
            "messages": [{"$ref": f"#/channels/{_REPLIES}/messages/{name}"} for name in replies],
        },
    }


def _summary(model: type[Request]) -> str:
    return inspect.cleandoc(model.__doc__ or "").partition("\n\n")[0]


def _messages(spec: OperationSpec) -> dict[str, Document]:
    return {
        f"{spec.operation}Request": _message(spec.operation.value, "request", spec.request),
        f"{spec.operation}Reply": _message(spec.operation.value, "reply", spec.reply),
    }


def _message(type_property: str, direction: str, model: type[Request | Reply]) -> Document:
    return {
        "name": model.__name__,
        "title": f"type {type_property}",
        "payload": {"$ref": f"./{type_property}.{direction}.json"},
        "traits": [{"$ref": f"#/components/messageTraits/{direction}"}],
        "bindings": {"amqp": {"messageType": type_property, "bindingVersion": _BINDING_VERSION}},
    }


def _request_trait() -> Document:
    return {
        "headers": {
            "type": "object",
            "required": [message.HEADER_VERSION],
            "properties": {
                message.HEADER_VERSION: {"const": message.PROTOCOL_VERSION},
                message.HEADER_DEADLINE: {"type": "integer", "description": "Unix milliseconds"},
                message.HEADER_TRACEPARENT: {"type": "string"},
                message.HEADER_TRACESTATE: {"type": "string"},
            },
        },
    }


def _reply_trait() -> Document:
    return {
        "headers": {
            "type": "object",
            "required": [message.HEADER_VERSION, message.HEADER_SERVER_TIME],
            "properties": {
                message.HEADER_VERSION: {"const": message.PROTOCOL_VERSION},
                message.HEADER_SERVER_TIME: {"type": "integer", "description": "Unix milliseconds"},
                message.HEADER_TRACEPARENT: {"type": "string"},
            },
        },
    }
