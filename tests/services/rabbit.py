"""A private RabbitMQ node."""

import os
import shlex
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

from services.daemon import Daemon, ServiceError, wait_until
from services.node import Node, Settings, password
from services.ports import HOST, accepts

# Debian's wrapper in /usr/sbin insists on the package's own user; these scripts run as anyone.
SCRIPTS = (Path("/usr/lib/rabbitmq/bin"), Path("/opt/rabbitmq/sbin"))
START_SECONDS = 90
BOOTING = "requires the 'rabbit' app to be running"  # what the tool says of a node whose port answers already
STOP_SECONDS = 30
CTL_SECONDS = 60

# The node binds to loopback alone, for clients and for Erlang's distribution.
CONFIGURATION = """\
listeners.tcp.local = {host}:{port}
default_user = {user}
default_pass = {password}
default_user_tags.administrator = true
loopback_users = none
log.console = true
log.console.level = info
log.file = false
disk_free_limit.absolute = 64MB
collect_statistics_interval = 60000
"""

# `start_epmd false`: the node finds the port mapper that we started, whose process id we therefore know.
ERL_ARGUMENTS = "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"


def scripts_folder() -> Path:
    """Find `rabbitmq-server`. Raises `ServiceError` where it is not installed."""
    for folder in SCRIPTS:
        if (folder / "rabbitmq-server").exists():
            return folder
    message = "rabbitmq-server is not installed: run ./dev setup"
    raise ServiceError(message)


class RabbitNode(Node):
    """RabbitMQ in `folder`, with its own cookie, node name, port mapper and data, as the calling user."""

    ADMINISTRATOR = "broker-admin"

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._settings = Settings(self.folder / "node.json")
        self.daemon = Daemon("rabbitmq", self.folder)
        self._epmd = Daemon("epmd", self.folder)

    @property
    def port(self) -> int:
        """The AMQP port, the same for the node's whole life."""
        return self._settings.port("amqp_port")

    @property
    def administrator_url(self) -> str:
        """AMQP URL of a broker administrator with every permission (not one of kmsq's principals)."""
        return self.url(self.ADMINISTRATOR)

    def url(self, user: str) -> str:
        """AMQP URL of an added `user`, for the virtual host `/`. Raises `ServiceError` for an unknown one."""
        known = self._settings.get(f"user {user}")
        if known is None:
            message = f"{user} is not a user of this broker"
            raise ServiceError(message)
        return f"amqp://{user}:{quote(known, safe='')}@{HOST}:{self.port}/"

    def start(self) -> None:
        """Start the port mapper and the node, and return when it takes connections. Idempotent."""
        if self.is_running:
            return
        self._prepare()
        environment = self._environment()
        if not self._epmd.is_running:
            self._epmd.spawn(["epmd", "-port", environment["ERL_EPMD_PORT"]], env=environment, cwd=self.folder)
            self._epmd.wait_ready(lambda: accepts(self._settings.port("epmd_port")), START_SECONDS)
        # A node that was killed is still registered until its connection to the port mapper has broken.
        self.daemon.spawn([scripts_folder() / "rabbitmq-server"], env=environment, cwd=self.folder)
        self.daemon.wait_ready(lambda: accepts(self.port), START_SECONDS)

    def stop(self) -> None:
        """Shut the node down orderly, then its port mapper. Idempotent."""
        self.daemon.stop(grace_seconds=STOP_SECONDS)
        self._epmd.stop()

    def ctl(self, *arguments: str, stdin: str = "") -> str:
        """Run `rabbitmqctl` against the node (about a second each) and return what it printed."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            done = self._ctl(*arguments, stdin=stdin)
            if done.returncode == 0:
                return done.stdout
            if BOOTING not in done.stderr or time.monotonic() > deadline:
                message = f"rabbitmqctl {' '.join(arguments)}: {done.stderr or done.stdout}"
                raise ServiceError(message)

    def _ctl(self, *arguments: str, stdin: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [scripts_folder() / "rabbitmqctl", "--quiet", *arguments],
            env=self._environment(),
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=CTL_SECONDS,
            check=False,
        )

    def add_user(self, user: str, *, tags: Sequence[str] = ()) -> str:
        """Add `user` with a random password (not shown in `ps`) and no permissions; return its URL. Idempotent."""
        if self._settings.get(f"user {user}") is None:
            drawn = password()
            self.ctl("add_user", user, stdin=drawn)
            self._settings.set(f"user {user}", drawn)
        if tags:
            self.ctl("set_user_tags", user, *tags)
        return self.url(user)

    def user(self, wanted: str) -> str:
        """Every user connects under its own name."""
        return wanted

    def admit(self, user: str, commands: Iterable[str]) -> str:
        """Add `user`, run `rabbitmqctl` command lines that give permissions, and return the user's URL."""
        url = self.add_user(user)
        for command in commands:
            self.ctl(*shlex.split(command))
        return url

    def set_permissions(self, user: str, *, configure: str, write: str, read: str) -> None:
        """Set what `user` may do in the virtual host `/`: three regular expressions over resource names."""
        self.ctl("set_permissions", "-p", "/", user, configure, write, read)

    def set_topic_permissions(self, user: str, exchange: str, *, write: str, read: str) -> None:
        """Set which routing keys `user` may publish to and bind from `exchange`."""
        self.ctl("set_topic_permissions", "-p", "/", user, exchange, write, read)

    def wait_stopped(self, seconds: float = 10) -> bool:
        """Wait until nothing answers on the AMQP port; False when something still does."""
        return wait_until(lambda: not accepts(self.port), seconds)

    def _prepare(self) -> None:
        for name in ("home", "mnesia"):
            (self.folder / name).mkdir(exist_ok=True)
        (self.folder / "environment.conf").touch()
        (self.folder / "enabled_plugins").write_text("[].\n")
        configuration = self.folder / "rabbitmq.conf"
        configuration.touch(mode=0o600)
        secret = self._settings.secret(f"user {self.ADMINISTRATOR}")
        configuration.write_text(
            CONFIGURATION.format(host=HOST, port=self.port, user=self.ADMINISTRATOR, password=secret)
        )

    def _environment(self) -> dict[str, str]:
        """Return the environment of the node and its tools: nothing of the machine's own RabbitMQ is read."""
        port = self.port
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.folder / "home"),
            "RABBITMQ_NODENAME": f"kmsq-{port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "environment.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_DIST_PORT": str(self._settings.port("dist_port")),
            "RABBITMQ_CTL_DIST_PORT_MIN": "35672",
            "RABBITMQ_CTL_DIST_PORT_MAX": "60672",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERL_ARGUMENTS,
            # Makes the start script become the node instead of waiting for it, so that its process id is the node's.
            "RUNNING_UNDER_SYSTEMD": "true",
            "ERL_EPMD_PORT": str(self._settings.port("epmd_port")),
            "ERL_EPMD_ADDRESS": HOST,
        }
