"""Clients whose calls go through RabbitMQ, made one by one, or wherever a session makes a KMS client."""

import inspect
from collections.abc import Callable
from typing import Any

from botocore import UNSIGNED
from botocore.client import BaseClient
from botocore.config import Config
from botocore.session import Session

from kmsq.integrations.blocking import BlockingClient, close_all, shared_client
from kmsq.integrations.boto3.failures import ENDPOINT_URL
from kmsq.integrations.boto3.sender import Sender

SERVICE = "kms"
DEFAULT_REGION = "local"
UNLIMITED_SECONDS = 3600.0  # what a timeout of None means to us: a message has a deadline


def kms_client(
    amqp_url: str | BlockingClient | None = None, *, region_name: str | None = None, config: Config | None = None
) -> BaseClient:
    """
    Return a botocore KMS client whose calls go through RabbitMQ.

    The user of `amqp_url` (by default `KMSQ_AMQP_URL`) is the principal. Clients of one URL share a connection, which
    the first call opens. Its calls last up to `config.connect_timeout` for a first connection, and then up to
    `config.read_timeout` for the reply.

    Raises `InvalidAddress` for a URL without a usable user, or if there is none.
    """
    session = Session()
    attach(session, amqp_url)
    return session.create_client(SERVICE, region_name=region_name, config=config)


def attach(botocore_session: Session, amqp_url: str | BlockingClient | None = None) -> None:
    """
    Let every KMS client that `botocore_session` makes from now on be as those of `kms_client`.

    Other services' clients stay what they are. Attached again, a session uses the later URL for later clients.

    Raises `InvalidAddress` for a URL without a usable user, or if there is none.
    """
    client = shared_client(amqp_url)
    create = botocore_session.create_client
    botocore_session.create_client = _CreateClient(
        create.original if isinstance(create, _CreateClient) else create, botocore_session, client
    )


def close_connections() -> None:
    """Close all connections, as happens at exit anyway. Calls under way fail; the next call opens a new connection."""
    close_all()


class _CreateClient:
    """
    Stands in a session's place of `create_client`.

    Its events come too late for what has to be said first: that the client needs no credentials. Without it botocore
    looks for them everywhere, and asks the metadata service of a cloud that we may not be in.
    """

    def __init__(self, original: Callable[..., BaseClient], session: Session, client: BlockingClient) -> None:
        self.original = original
        self._session = session
        self._client = client
        self._signature = inspect.signature(original)

    def __call__(self, *args: Any, **kwargs: Any) -> BaseClient:
        """Return what botocore makes, hooked if it is a KMS client."""
        call = self._signature.bind(*args, **kwargs)
        if call.arguments["service_name"] != SERVICE:
            return self.original(*args, **kwargs)
        call.arguments["config"] = config = self._config(call.arguments.get("config"))
        call.arguments["endpoint_url"] = ENDPOINT_URL
        if not (call.arguments.get("region_name") or config.region_name or self._session.get_config_variable("region")):
            call.arguments["region_name"] = DEFAULT_REGION
        made = self.original(*call.args, **call.kwargs)
        _hook(made, self._client)
        return made

    def _config(self, given: Config | None) -> Config:
        config = (self._session.get_default_client_config() or Config()).merge(given or Config())
        mode = config.defaults_mode or self._session.get_config_variable("defaults_mode")
        # To know what is meant by "auto", botocore would ask the metadata service.
        offline = {"defaults_mode": "legacy"} if mode.lower() == "auto" else {}
        return config.merge(Config(signature_version=UNSIGNED, **offline))


def _hook(made: BaseClient, client: BlockingClient) -> None:
    config = made.meta.config
    sender = Sender(
        client,
        connect_timeout_seconds=UNLIMITED_SECONDS if config.connect_timeout is None else config.connect_timeout,
        timeout_seconds=UNLIMITED_SECONDS if config.read_timeout is None else config.read_timeout,
    )
    made.meta.events.register_first(f"before-send.{SERVICE}", sender)
    made.meta.events.register_first(f"needs-retry.{SERVICE}", _never)


def _never(**_attempt: object) -> bool:
    """
    Answer `needs-retry.kms`: no, before any other handler says yes.

    kmsq has repeated the request until its deadline, under one message id. Another attempt of botocore's would have
    another id, so that a change could happen twice; and it would multiply the time that a call may take.
    """
    return False
