"""Free loopback ports for services that must come back on the same port after a crash."""

import random
import socket

HOST = "127.0.0.1"

# Below Linux's ephemeral range (32768–60999), so that no outgoing connection takes a node's port while it is down.
FIRST_PORT = 15_000
LAST_PORT = 31_999


def free_ports(count: int) -> list[int]:
    """Return `count` distinct ports on which nothing listens at this moment."""
    ports: list[int] = []
    for port in random.sample(range(FIRST_PORT, LAST_PORT + 1), LAST_PORT - FIRST_PORT):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == count:
            return ports
    message = f"fewer than {count} free ports on {HOST}"
    raise OSError(message)


def accepts(port: int) -> bool:
    """Whether something accepts connections on `port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
