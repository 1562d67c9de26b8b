"""Private RabbitMQ and PostgreSQL nodes, and whole stacks of kmsq on them, for `./dev`, tests and benchmarks."""

from services.daemon import ServiceError
from services.postgres import PostgresNode
from services.rabbit import RabbitNode
from services.stack import PrivateStack, Stack, private_stack
from services.worker import Worker

__all__ = ["PostgresNode", "PrivateStack", "RabbitNode", "ServiceError", "Stack", "Worker", "private_stack"]
