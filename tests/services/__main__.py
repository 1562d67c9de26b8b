"""`python -m services up|down|status`: the private stack behind `./dev up`."""

import argparse
import os
import shlex
import shutil
import sys
from pathlib import Path

from services.daemon import Daemon, ServiceError
from services.external import ExternalBroker, ExternalDatabase
from services.postgres import PostgresNode
from services.rabbit import RabbitNode
from services.reaper import kill_recorded
from services.seams import Broker, Database
from services.stack import PROGRAMS, Stack


def broker(folder: Path) -> Broker:
    """Return the broker that `KMSQ_AMQP_URL` names, or a private one."""
    url = None if "KMSQ_DEV_STACK" in os.environ else os.environ.get("KMSQ_AMQP_URL")
    return ExternalBroker(url) if url else RabbitNode(folder / "rabbitmq")


def database(folder: Path) -> Database:
    """Return the database that `KMSQ_DATABASE_URL` names, or a private one."""
    url = None if "KMSQ_DEV_STACK" in os.environ else os.environ.get("KMSQ_DATABASE_URL")
    return ExternalDatabase(url, folder / "database") if url else PostgresNode(folder / "postgres")


def up(folder: Path, workers: int) -> None:
    """Bring the stack up and write what a shell has to source; take everything down again if that fails."""
    stack = Stack(folder, broker=broker(folder), database=database(folder))
    try:
        stack.up(workers=workers)
    except BaseException:
        stack.down()
        raise
    # KMSQ_DEV_STACK tells a later `up` in the same shell that these URLs are its own, not somebody's services.
    variables = {**stack.environment(), "KMSQ_DEV_STACK": str(stack.folder)}
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
    lines.append(f'export PATH={shlex.quote(str(PROGRAMS))}:"$PATH"\n')
    path = folder / "env"
    path.touch(mode=0o600)
    path.write_text("".join(lines))


def down(folder: Path, *, keep: bool) -> None:
    """Stop every process of the stack, and remove its data unless it is to be kept."""
    if not folder.exists():
        return
    private_database = PostgresNode(folder / "postgres")
    Stack(folder, broker=RabbitNode(folder / "rabbitmq"), database=private_database).down()
    kill_recorded(folder)
    (folder / "env").unlink(missing_ok=True)
    if not keep:
        private_database.remove()
        shutil.rmtree(folder)


def status(folder: Path) -> bool:
    """Print one line a process; True when all that were started run."""
    daemons = [Daemon(path.stem, path.parent) for path in sorted(folder.rglob("*.process"))]
    for daemon in daemons:
        process = daemon.process()
        print(f"{daemon.name:12}{f'running, process {process.pid}' if process else 'not running'}  {daemon.log}")
    if not daemons:
        print("nothing was started: ./dev up")
    return bool(daemons) and all(daemon.is_running for daemon in daemons)


def main() -> int:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(prog="python -m services", description=__doc__)
    parser.add_argument("action", choices=("up", "down", "status"))
    parser.add_argument("--dir", type=Path, required=True, help="where the stack keeps everything")
    parser.add_argument("--workers", type=int, default=2, help="how many workers to start (default: 2)")
    parser.add_argument("--keep", action="store_true", help="down: keep the data for the next up")
    options = parser.parse_args()
    folder: Path = options.dir.absolute()
    try:
        match options.action:
            case "up":
                up(folder, options.workers)
            case "down":
                down(folder, keep=options.keep)
            case _:
                return 0 if status(folder) else 1
    except ServiceError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
