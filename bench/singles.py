"""
Single Encrypt requests against a bare echo consumer.

Everything is on for kmsq: policy, audit commit, confirms. Producer, broker, database and consumer share the machine.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from bench.contest import Contender, consumer, create_key, hold, kmsq_contender, kmsq_job, show
from bench.load import Job
from kmsq_schemas.codec import ContentType, encode
from kmsq_schemas.models import EncryptRequest
from kmsq_schemas.operations import Operation
from services import private_stack

QUEUE = "bench.echo"


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./dev bench singles", description=__doc__)
    parser.add_argument("--seconds", type=float, default=6, help="of each run (default: 6)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each (default: 5)")
    parser.add_argument("--in-flight", type=int, default=400, help="requests in flight (default: 400)")
    parser.add_argument("--workers", type=int, default=1, help="of kmsq; the other has one process (default: 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(arguments)
    load: dict[str, Any] = {"in_flight": options.in_flight, "seconds": options.seconds}
    with (
        tempfile.TemporaryDirectory(prefix="kmsq-bench-") as folder,
        private_stack(Path(folder), workers=options.workers) as stack,
    ):
        body = encode(EncryptRequest(key_id=create_key(stack), plaintext=bytes(256)), ContentType.JSON)
        with consumer(stack, "bench.echo", QUEUE) as (url, pid):
            echo = Contender("aio-pika echo", Job.of(body, url=url, routing_key=QUEUE, type="Echo", **load), [pid])
            kmsq = kmsq_contender("kmsq Encrypt", stack, kmsq_job(stack, Operation.ENCRYPT, body, **load))
            hold((echo, kmsq), options.rounds)
    show((echo, kmsq), as_json=options.json)
