"""
BatchEncrypt of 1,000 values of 256 bytes in CBOR, against a bare pipe: CBOR to AES-GCM to CBOR and nothing else.

Everything is on for kmsq: policy, audit commit, confirms, derivation, key commitment. The pipe has one key and none of
that. Producer, broker, database and consumer share the machine; the producer reads no replies.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from bench.contest import Contender, consumer, create_key, hold, kmsq_contender, kmsq_job, show
from bench.load import Job
from kmsq_schemas.codec import ContentType, encode
from kmsq_schemas.models import BatchEncryptRequest
from kmsq_schemas.operations import Operation
from services import private_stack

QUEUE = "bench.pipe"


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./dev bench batches", description=__doc__)
    parser.add_argument("--seconds", type=float, default=6, help="of each run (default: 6)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each (default: 5)")
    parser.add_argument("--in-flight", type=int, default=16, help="messages in flight (default: 16)")
    parser.add_argument("--items", type=int, default=1_000, help="values in a message (default: 1000)")
    parser.add_argument("--workers", type=int, default=1, help="of kmsq; the other has one process (default: 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(arguments)
    load: dict[str, Any] = {
        "in_flight": options.in_flight,
        "seconds": options.seconds,
        "content_type": ContentType.CBOR.value,
    }
    with (
        tempfile.TemporaryDirectory(prefix="kmsq-bench-") as folder,
        private_stack(Path(folder), workers=options.workers) as stack,
    ):
        values = [bytes(256)] * options.items
        body = encode(BatchEncryptRequest(key_id=create_key(stack), plaintexts=values), ContentType.CBOR)
        with consumer(stack, "bench.pipe", QUEUE) as (url, pid):
            pipe = Contender("bare pipe", Job.of(body, url=url, routing_key=QUEUE, type="Pipe", **load), [pid])
            job = kmsq_job(stack, Operation.BATCH_ENCRYPT, body, **load)
            kmsq = kmsq_contender("kmsq BatchEncrypt", stack, job)
            hold((pipe, kmsq), options.rounds)
    show((pipe, kmsq), as_json=options.json)
    if not options.json:
        rates = {c.name: options.items * c.median("requests_per_second") for c in (pipe, kmsq)}
        print("items/s: " + ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items()))
