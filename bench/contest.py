"""Contenders that are loaded in turn on one private broker, so that what else the machine does meets all of them."""

import json
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.load import Job, Result
from kmsq_schemas import topology
from kmsq_schemas.operations import Operation
from services import PrivateStack

CLOCK_TICKS = 100  # per second, Linux USER_HZ
FIGURES = ("requests_per_second", "p50_ms", "p99_ms")


@dataclass(slots=True)
class Contender:
    """One of those that are compared, its runs and the CPU time that its consumers took, all of them."""

    name: str
    job: Job
    pids: Sequence[int]
    results: list[Result] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Run the job once."""
        before = _cpu_seconds(self.pids)
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
        self.cpu_us.append(1e6 * (_cpu_seconds(self.pids) - before) / requests)

    def median(self, name: str) -> float:
        """Return the median of one figure over the runs."""
        return float(median(getattr(result, name) for result in self.results))


def hold(contenders: Sequence[Contender], rounds: int) -> None:
    """Run the contenders in turn, `rounds` times."""
    for contender in tuple(contenders) * rounds:
        contender.run()


def create_key(stack: PrivateStack) -> str:
    """Return the id of a new key."""
    environment = {"KMSQ_AMQP_URL": stack.administrator_url}
    return str(json.loads(stack.run("kmsq", "--output", "json", "key", "create", environment=environment))["KeyId"])


def kmsq_job(stack: PrivateStack, operation: Operation, body: bytes, **load: Any) -> Job:
    """Make the job that sends `operation` to kmsq; `load` is how many in flight and for how long."""
    key = topology.request_routing_key("admin", operation)
    return Job.of(
        body,
        url=stack.administrator_url,
        exchange=topology.REQUESTS_EXCHANGE,
        routing_key=key,
        type=operation,
        reply_exchange=topology.REPLIES_EXCHANGE,
        **load,
    )


def kmsq_contender(name: str, stack: PrivateStack, job: Job) -> Contender:
    """Make kmsq a contender, with all of the stack's workers."""
    return Contender(name, job, [worker.pid for worker in stack.workers])


@contextmanager
def consumer(stack: PrivateStack, module: str, queue: str) -> Generator[tuple[str, int]]:
    """Run a consumer that is not kmsq on the stack's broker; give the URL to load it by, and its process id."""
    url = stack.broker.add_user(module.rpartition(".")[2])
    stack.broker.set_permissions(module.rpartition(".")[2], configure=".*", write=".*", read=".*")
    command = [sys.executable, "-m", module, url, queue]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield url, process.pid
        process.kill()


def show(contenders: Sequence[Contender], *, as_json: bool) -> None:
    """Print the medians, and each contender's ratio to the first one."""
    rows = {name: {c.name: c.median(name) for c in contenders} for name in FIGURES}
    rows["cpu_us_per_request"] = {c.name: median(c.cpu_us) for c in contenders}
    errors = sum(result.errors for c in contenders for result in c.results)
    if as_json:
        print(json.dumps({"medians": rows, "errors": errors}))
        return
    first, *others = contenders
    print(f"{'median of ' + str(len(first.results)) + ' runs':22}{first.name:>20}", end="")
    print("".join(f"{c.name:>20}{'ratio':>8}" for c in others))
    for name, row in rows.items():
        print(f"{name:22}{row[first.name]:20.1f}", end="")
        print("".join(f"{row[c.name]:20.1f}{row[c.name] / row[first.name]:8.2f}" for c in others))
    print(f"errors: {errors}")


def _cpu_seconds(pids: Sequence[int]) -> float:
    stats = [Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split() for pid in pids]
    return sum(int(fields[11]) + int(fields[12]) for fields in stats) / CLOCK_TICKS
