"""
`./dev bench`: single Encrypt requests against a bare echo consumer, alternating, on one private broker.

Everything is on for kmsq: policy, audit commit, confirms. Producer, broker, database and consumer share the machine.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from base64 import b64encode
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from bench.load import Job, Result
from kmsq_schemas import topology
from kmsq_schemas.operations import Operation
from services import PrivateStack, private_stack

ECHO_QUEUE = "bench.echo"
CLOCK_TICKS = 100  # per second, Linux USER_HZ


@dataclass(slots=True)
class Contender:
    """One of the two, its runs and the CPU time that its consumer took."""

    name: str
    job: Job
    pid: int
    results: list[Result] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Run the job once."""
        before = _cpu_seconds(self.pid)
        done = subprocess.run(
            [sys.executable, "-m", "bench.load"],
            input=json.dumps(asdict(self.job)),
            capture_output=True,
            text=True,
            check=True,
        )
        result = Result(**json.loads(done.stdout))
        self.results.append(result)
        requests = result.requests_per_second * self.job.seconds
        self.cpu_us.append(1e6 * (_cpu_seconds(self.pid) - before) / requests)

    def median(self, name: str) -> float:
        """Return the median of one figure over the runs."""
        return float(median(getattr(result, name) for result in self.results))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=6, help="of each run (default: 6)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each (default: 5)")
    parser.add_argument("--in-flight", type=int, default=400, help="requests in flight (default: 400)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kmsq-bench-") as folder, private_stack(Path(folder)) as stack:
        stack.up(workers=1)
        body = _body(stack)
        with _echo(stack) as (echo_url, echo_pid):
            common = {"body": body, "in_flight": options.in_flight, "seconds": options.seconds}
            echo = Contender("aio-pika echo", _echo_job(echo_url, **common), echo_pid)
            kmsq = Contender("kmsq Encrypt", _kmsq_job(stack, **common), stack.workers[0].pid)
            for contender in (echo, kmsq) * options.rounds:
                contender.run()
    _print(echo, kmsq, as_json=options.json)


def _body(stack: PrivateStack) -> str:
    key = json.loads(
        stack.run("kmsq", "--output", "json", "key", "create", environment={"KMSQ_AMQP_URL": stack.administrator_url})
    )
    key_id = key["KeyId"]
    return json.dumps({"KeyId": key_id, "Plaintext": b64encode(bytes(256)).decode()})


def _echo_job(url: str, *, body: str, in_flight: int, seconds: float) -> Job:
    return Job(url, "", ECHO_QUEUE, "Echo", body, in_flight, seconds, "")


def _kmsq_job(stack: PrivateStack, *, body: str, in_flight: int, seconds: float) -> Job:
    key = topology.request_routing_key("admin", Operation.ENCRYPT)
    return Job(
        stack.administrator_url,
        topology.REQUESTS_EXCHANGE,
        key,
        Operation.ENCRYPT,
        body,
        in_flight,
        seconds,
        topology.REPLIES_EXCHANGE,
    )


@contextmanager
def _echo(stack: PrivateStack) -> Generator[tuple[str, int]]:
    url = stack.broker.add_user("bench")
    stack.broker.set_permissions("bench", configure=".*", write=".*", read=".*")
    command = [sys.executable, "-m", "bench.echo", url, ECHO_QUEUE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield url, process.pid
        process.kill()


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def _print(echo: Contender, kmsq: Contender, *, as_json: bool) -> None:
    figures = ("requests_per_second", "p50_ms", "p99_ms")
    rows = {name: {c.name: c.median(name) for c in (echo, kmsq)} for name in figures}
    rows["cpu_us_per_request"] = {c.name: median(c.cpu_us) for c in (echo, kmsq)}
    errors = sum(result.errors for c in (echo, kmsq) for result in c.results)
    if as_json:
        print(json.dumps({"medians": rows, "errors": errors}))
        return
    print(f"{'median of ' + str(len(echo.results)) + ' runs':22}{echo.name:>16}{kmsq.name:>16}{'ratio':>8}")
    for name, row in rows.items():
        print(f"{name:22}{row[echo.name]:16.1f}{row[kmsq.name]:16.1f}{row[kmsq.name] / row[echo.name]:8.2f}")
    print(f"errors: {errors}")


if __name__ == "__main__":
    main()
