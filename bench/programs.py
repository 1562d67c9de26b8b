"""Programs that are measured from outside: time, CPU and peak memory."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a program, from its start to its end."""

    seconds: float
    cpu_seconds: float
    peak_mib: float


def run(command: Sequence[str], environment: Mapping[str, str]) -> Run:
    """Run `command`, which must succeed."""
    began = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    peak = 0.0
    while True:
        peak = max(peak, _peak_mib(process.pid))
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        time.sleep(POLL_SECONDS)
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return Run(seconds, usage.ru_utime + usage.ru_stime, peak)


def _peak_mib(pid: int) -> float:
    # Not `ru_maxrss`: that begins with what the process had before it became another program.
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
