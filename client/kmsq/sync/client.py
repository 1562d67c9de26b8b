"""The client of code that blocks."""

import functools
import ssl
from collections.abc import Callable, Coroutine, Generator, Iterable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypedDict, TypeVar, Unpack

import kmsq
from kmsq.client import TIMEOUT_SECONDS
from kmsq.errors import ClientClosed
from kmsq.integrations.blocking import BlockingClient, outcome
from kmsq.operations.flow import Pace, PaceOptions, Value, require_known
from kmsq.operations.jobs import Job
from kmsq.operations.outcomes import Errors
from kmsq.retry import RetryPolicy
from kmsq.sync.data_key_streams import DataKeyStreams
from kmsq.sync.streams import Streams
from kmsq.sync.window import stream
from kmsq_schemas.content import ContentType
from kmsq_schemas.models import Reply, Request
from kmsq_schemas.operations import Operation

P = ParamSpec("P")
T = TypeVar("T")


class ConnectionOptions(TypedDict, total=False):
    """Arguments of `kmsq.Client` that are handed on to it."""

    content_type: ContentType
    worker_user: str
    retry: RetryPolicy | None
    coalesce: bool
    ssl_context: ssl.SSLContext | None


def _blocking(
    method: Callable[Concatenate[kmsq.Client, P], Coroutine[Any, Any, T]],
) -> "Callable[Concatenate[Client, P], T]":
    """Make of a method of `kmsq.Client` one that waits for what it returns."""

    @functools.wraps(method)
    def wait(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return outcome(self._start(lambda client: method(client, *args, **kwargs)))

    return wait


class Client(Streams, DataKeyStreams):
    """
    A connection to kmsq for code without an event loop; any number of threads may use it at once.

        with Client("amqp://alice:…@broker/") as client:
            sealed = client.encrypt("alias/orders", b"…", encryption_context={"order": "17"})

    Its methods are those of `kmsq.Client` that deal with data, with the same arguments and errors, and the streams;
    `call` sends everything else. The connection lives in a thread of its own. Entering connects, as for `kmsq.Client`,
    whose other arguments are taken, too; a process that was forked off inside the block connects anew.

    Raises `InvalidAddress` for a URL without a usable user.
    """

    def __init__(
        self,
        amqp_url: str,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        connect_timeout_seconds: float | None = None,
        **options: Unpack[ConnectionOptions],
    ) -> None:
        def make_client(seconds: float) -> kmsq.Client:
            return kmsq.Client(amqp_url, timeout_seconds=timeout_seconds, connect_timeout_seconds=seconds, **options)

        connect_seconds = timeout_seconds if connect_timeout_seconds is None else connect_timeout_seconds
        self._prepare(make_client, make_client(connect_seconds).principal, connect_seconds)

    @classmethod
    def over(cls, client: kmsq.Client) -> Self:
        """Return one that enters and uses `client`: for tests, `Client.over(FakeKms().client("alice"))`."""
        self = cls.__new__(cls)
        self._prepare(lambda _seconds: client, client.principal, client.timeout_seconds)
        return self

    def _prepare(
        self, make_client: Callable[[float], kmsq.Client], principal: str, connect_timeout_seconds: float
    ) -> None:
        self.principal = principal
        self._blocking = BlockingClient(make_client)
        self._connect_timeout_seconds = connect_timeout_seconds
        self._is_open = False

    def __enter__(self) -> Self:
        try:
            self._blocking.open(self._connect_timeout_seconds)
        except BaseException:  # interrupted, too: the thread that connects shall not be left behind
            self._blocking.close()
            raise
        self._is_open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_open = False
        self._blocking.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.principal}>"

    def call(self, operation: Operation, request: Request, *, timeout_seconds: float | None = None) -> Reply:
        """See `kmsq.Client.call`."""
        return outcome(self._start(lambda client: client.call(operation, request, timeout_seconds=timeout_seconds)))

    encrypt = _blocking(kmsq.Client.encrypt)
    decrypt = _blocking(kmsq.Client.decrypt)
    re_encrypt = _blocking(kmsq.Client.re_encrypt)
    generate_data_key = _blocking(kmsq.Client.generate_data_key)
    generate_data_key_without_plaintext = _blocking(kmsq.Client.generate_data_key_without_plaintext)
    generate_random = _blocking(kmsq.Client.generate_random)
    generate_mac = _blocking(kmsq.Client.generate_mac)
    verify_mac = _blocking(kmsq.Client.verify_mac)
    sign = _blocking(kmsq.Client.sign)
    verify = _blocking(kmsq.Client.verify)
    describe_key = _blocking(kmsq.Client.describe_key)

    def _stream(
        self, job: Job[Any], values: Iterable[Value], errors: Errors, options: PaceOptions
    ) -> Generator[Any, None, None]:
        require_known(errors)
        return stream(self._start, job, values, errors, Pace(**options))

    def _start(self, work: Callable[[kmsq.Client], Coroutine[Any, Any, T]]) -> Future[T]:
        if not self._is_open:
            raise ClientClosed("this client is not open: use it inside `with`")
        return self._blocking.start(work, connect_timeout_seconds=self._connect_timeout_seconds)
