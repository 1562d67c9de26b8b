"""The transport over AMQP 0-9-1."""

from kmsq.amqp.transport import amqp_transport

__all__ = ["amqp_transport"]
