"""
A whole kmsq in one folder, assembled in one place for `./dev up`, the demo, the tests and the benchmarks.

(1) broker and database  (2) owner and migrations  (3) roles' passwords  (4) root key and first domain key
(5) exchanges and queues  (6) broker users  (7) workers
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Generic, Self, TypeAlias, TypeVar

from services.daemon import ServiceError
from services.node import Settings
from services.postgres import PostgresNode
from services.rabbit import RabbitNode
from services.seams import Broker, Database
from services.worker import Worker

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent  # of the virtual environment: kmsq-worker, dbmate
WORKER_COMMAND = (PROGRAMS / "kmsq-worker", "run")

ACCOUNT = "000000000000"
REGION = "local"
DATABASE = "kmsq"
OWNER = "kmsq_owner"
CRYPTO, CHANGE, AUDITOR = LOGIN_ROLES = ("kmsq_crypto", "kmsq_change", "kmsq_auditor")  # made by the migrations
ADMINISTRATOR = "admin"
WORKER_USER = "kmsq-worker"
COMMAND_SECONDS = 120
WORKERS = 2

B = TypeVar("B", bound=Broker)
D = TypeVar("D", bound=Database)


class Stack(Generic[B, D]):
    """
    Broker, database and workers; `with` starts them on entry and stops them on exit.

    All methods block: in asyncio code call them with `asyncio.to_thread`.
    """

    def __init__(self, folder: Path, *, broker: B, database: D, workers: int = WORKERS) -> None:
        """Take `workers` as how many `with` starts."""
        self._workers_on_entry = workers
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.broker = broker
        self.database = database
        self.workers: list[Worker] = []
        self.root_key_file = self.folder / "root.key"
        self._settings = Settings(self.folder / "stack.json")
        for name in sorted(path.stem for path in self.folder.glob("worker-*.process")):
            self._worker(name, {})

    @property
    def administrator_url(self) -> str:
        """AMQP URL of the account administrator `admin` (a principal of kmsq, without rights over the broker)."""
        return self._known("administrator_url")

    @property
    def worker_url(self) -> str:
        """AMQP URL of the workers' user."""
        return self._known("worker_url")

    def database_url(self, role: str) -> str:
        """URL of kmsq's database for `role`: one of OWNER, CRYPTO, CHANGE, AUDITOR."""
        return self.database.url(role, DATABASE)

    def up(self, *, workers: int = WORKERS, environment: Mapping[str, str] | None = None) -> None:
        """Bring everything up, on the data of an earlier time if there is some; `environment` is the workers'."""
        with ThreadPoolExecutor() as pool:
            broker = pool.submit(self.broker.start)  # (1)
            self.database.start()
            self.migrate()  # (2), (3)
            self._initialise()  # (4)
            broker.result()
        self._declare_topology()  # (5), (6)
        for _ in range(workers - len(self.workers)):  # (7)
            self._worker(f"worker-{len(self.workers) + 1}", environment or {})
        for worker in self.workers:
            worker.spawn()
        for worker in self.workers:
            worker.wait_ready()

    def down(self) -> None:
        """Drain and stop the workers, then the broker and the database. Data stays."""
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.stop()
        self.broker.stop()
        self.database.stop()

    def migrate(self) -> None:
        """Apply the migrations as the owner, and give the roles that they create their passwords."""
        self.database.provide(DATABASE, OWNER)
        migrations = ["--migrations-dir", str(ROOT / "migrations"), "--no-dump-schema", "up"]
        self.run("dbmate", *migrations, environment={"DATABASE_URL": self.database_url(OWNER)})
        for role in LOGIN_ROLES:
            self.database.allow_login(role)

    def add_worker(self, *, environment: Mapping[str, str] | None = None) -> Worker:
        """Start one more worker, with more environment if wanted, and return it when it is ready."""
        worker = self.new_worker(environment=environment)
        worker.start()
        return worker

    def new_worker(
        self, *, environment: Mapping[str, str] | None = None, command: Sequence[str | Path] = WORKER_COMMAND
    ) -> Worker:
        """Return one more worker, not started, run by another command if wanted; `down` stops it, too."""
        return self._worker(f"worker-{len(self.workers) + 1}", environment or {}, command)

    def add_producer(self, name: str, operations: Sequence[str]) -> str:
        """Add a principal that the broker lets send `operations`, and return its AMQP URL. Idempotent."""
        allowed = [argument for operation in operations for argument in ("--operation", operation)]
        return self._admit(name, "--producer", name, *allowed)

    def kmsq_worker(self, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """Run a `kmsq-worker` command with the owner's database URL and return what it printed."""
        return self.run("kmsq-worker", *arguments, environment=environment)

    def run(self, program: str, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """Run a program of the virtual environment. Raises `ServiceError` with its output when it fails."""
        done = subprocess.run(
            [PROGRAMS / program, *arguments],
            env={**self._environment(), "KMSQ_DATABASE_URL": self.database_url(OWNER), **(environment or {})},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            message = f"{program} {' '.join(arguments)} exited with {done.returncode}:\n{done.stdout}{done.stderr}"
            raise ServiceError(message)
        return done.stdout

    def environment(self) -> dict[str, str]:
        """Return what a person's shell needs to use this stack: an account administrator, and the owner's database."""
        return {
            "KMSQ_AMQP_URL": self.administrator_url,
            "KMSQ_DATABASE_URL": self.database_url(OWNER),
            "KMSQ_CHANGES_DATABASE_URL": self.database_url(CHANGE),
            "KMSQ_ROOT_KEY_FILE": str(self.root_key_file),
            "KMSQ_ADMINISTRATORS": self.broker.user(ADMINISTRATOR),
        }

    def __enter__(self) -> Self:
        try:
            self.up(workers=self._workers_on_entry)
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self.down()

    def _initialise(self) -> None:
        if not self.root_key_file.exists():
            self.kmsq_worker("root-key", "create", str(self.root_key_file))
        if self._settings.get("initialised") is None:
            self.kmsq_worker("init", "--account", ACCOUNT, "--region", REGION)
            self._settings.set("initialised", "yes")

    def _declare_topology(self) -> None:
        self.kmsq_worker("topology", "declare", environment={"KMSQ_AMQP_URL": self.broker.administrator_url})
        if self._settings.get("administrator_url") is None:
            self._settings.set("worker_url", self._admit(WORKER_USER, "--worker", WORKER_USER))
            self._settings.set("administrator_url", self._admit(ADMINISTRATOR, "--administrator", ADMINISTRATOR))

    def _admit(self, user: str, *arguments: str) -> str:
        return self.broker.admit(user, self.kmsq_worker("topology", "permissions", *arguments).splitlines())

    def _worker(
        self, name: str, environment: Mapping[str, str], command: Sequence[str | Path] = WORKER_COMMAND
    ) -> Worker:
        own = {
            **self._environment(),
            "KMSQ_AMQP_URL": self.worker_url,
            "KMSQ_DATABASE_URL": self.database_url(CRYPTO),
            "KMSQ_CHANGES_DATABASE_URL": self.database_url(CHANGE),
            "KMSQ_HEALTH_PORT": str(self._settings.port(f"health_port {name}")),
        }
        worker = Worker(name, self.folder, command=command, environment={**own, **environment})
        self.workers.append(worker)
        return worker

    def _environment(self) -> dict[str, str]:
        """Return the caller's environment without its own kmsq settings, with those that every command shares."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("KMSQ_")}
        return {
            **inherited,
            "KMSQ_ROOT_KEY_FILE": str(self.root_key_file),
            "KMSQ_ADMINISTRATORS": self.broker.user(ADMINISTRATOR),
        }

    def _known(self, name: str) -> str:
        value = self._settings.get(name)
        if value is None:
            message = "the stack has not been up yet"
            raise ServiceError(message)
        return value


PrivateStack: TypeAlias = Stack[RabbitNode, PostgresNode]


def private_stack(folder: Path, *, workers: int = WORKERS) -> PrivateStack:
    """Return a stack with nodes of its own; nothing is started yet. `with` starts so many workers."""
    broker, database = RabbitNode(folder / "rabbitmq"), PostgresNode(folder / "postgres")
    return Stack(folder, broker=broker, database=database, workers=workers)


def remove(stack: PrivateStack) -> None:
    """Stop everything and remove all data."""
    stack.down()
    stack.database.remove()
    shutil.rmtree(stack.folder)
