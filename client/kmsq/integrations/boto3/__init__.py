"""
boto3 over AMQP: genuine botocore KMS clients whose calls go through RabbitMQ.

    from kmsq.integrations.boto3 import kms_client

    kms = kms_client("amqp://alice:…@broker/")
    sealed = kms.encrypt(KeyId="alias/orders", Plaintext=b"…")

See docs/boto3.md.
"""

try:
    from kmsq.integrations.boto3.sessions import attach, close_connections, kms_client
except ModuleNotFoundError as error:
    if error.name != "botocore":
        raise
    message = "kmsq.integrations.boto3 needs more packages: pip install kmsq[boto3]"
    raise ImportError(message) from error

from kmsq.integrations.blocking import BlockingClient

__all__ = ["BlockingClient", "attach", "close_connections", "kms_client"]
