"""
`kmsq file encrypt` and `decrypt` against openssl and age: one large file, each in turn.

`openssl enc` has no authenticated mode: AES-256-CTR stands for what it can do, and authenticates nothing. age encrypts
with ChaCha20-Poly1305; it takes part if it is installed. kmsq waits until its output is on the disk, the others do not:
the second figure has the same wait for everyone. Its time includes the start of the program and the request for the data
key. The file is read before, so that it comes from memory for everyone, as far as it fits.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from statistics import median

from bench.contest import create_key
from bench.programs import Run, run
from services import private_stack
from services.stack import PROGRAMS

MIB = 1024 * 1024
KEY_AND_IV = ("-K", "0f" * 32, "-iv", "0f" * 16)


@dataclass(slots=True)
class Contender:
    """A program, in one direction."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    output: Path
    runs: list[Run] = field(default_factory=list)
    synced_seconds: list[float] = field(default_factory=list)
    """Until the output was on the disk."""

    def run(self) -> None:
        """Run it once, to a new file."""
        self.output.unlink(missing_ok=True)
        done = run(self.command, self.environment)
        began = time.monotonic()
        with self.output.open("rb") as file:
            os.fsync(file.fileno())
        self.runs.append(done)
        self.synced_seconds.append(done.seconds + time.monotonic() - began)

    def median(self, name: str) -> float:
        """Return the median of one figure over the runs."""
        return float(median(getattr(run, name) for run in self.runs))


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./dev bench envelope", description=__doc__)
    parser.add_argument("--mib", type=int, default=2048, help="size of the file in MiB (default: 2048)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (default: 3)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="kmsq-bench-") as name, private_stack(Path(name), workers=1) as stack:
        folder = Path(name) / "files"
        folder.mkdir()
        plain = folder / "plain"
        _fill(plain, options.mib)
        environment = {"KMSQ_AMQP_URL": stack.administrator_url}
        pairs = _contenders(folder, plain, create_key(stack), environment)
        for _ in range(options.rounds):
            for pair in pairs:
                for contender in pair:
                    contender.run()
                assert _same(plain, pair[1].output), f"{pair[1].name} gave something else back"
                for contender in pair:
                    contender.output.unlink()
        _print(pairs, options.mib, as_json=options.json)


def _contenders(
    folder: Path, plain: Path, key_id: str, environment: Mapping[str, str]
) -> list[tuple[Contender, Contender]]:
    """Return who encrypts, and who decrypts that."""

    def pair(name: str, encrypt: Sequence[str], decrypt: Sequence[str]) -> tuple[Contender, Contender]:
        return (
            Contender(f"{name} encrypt", encrypt, environment, sealed),
            Contender(f"{name} decrypt", decrypt, environment, opened),
        )

    sealed, opened = folder / "sealed", folder / "opened"
    source, middle, target = str(plain), str(sealed), str(opened)
    kmsq, openssl = f"{PROGRAMS}/kmsq", ("openssl", "enc", "-aes-256-ctr", *KEY_AND_IV)
    pairs = [
        pair("openssl enc", (*openssl, "-in", source, "-out", middle), (*openssl, "-d", "-in", middle, "-out", target)),
        pair(
            "kmsq file",
            (kmsq, "file", "encrypt", "--key-id", key_id, source, "--out", middle),
            (kmsq, "file", "decrypt", middle, "--out", target),
        ),
    ]
    if which("age"):
        identity = str(folder / "identity")
        subprocess.run(["age-keygen", "-o", identity], check=True, capture_output=True)
        recipient = subprocess.run(["age-keygen", "-y", identity], check=True, capture_output=True, text=True).stdout
        age = ("age", "--recipient", recipient.strip(), "--output", middle, source)
        pairs.append(pair("age", age, ("age", "--decrypt", "--identity", identity, "--output", target, middle)))
    return pairs


def _fill(path: Path, mib: int) -> None:
    with path.open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(MIB))
        file.flush()
        os.fsync(file.fileno())


def _same(one: Path, other: Path) -> bool:
    return subprocess.run(["cmp", "--silent", str(one), str(other)], check=False).returncode == 0


def _print(pairs: Sequence[tuple[Contender, Contender]], mib: int, *, as_json: bool) -> None:
    contenders = [contender for direction in zip(*pairs, strict=True) for contender in direction]
    rows = {
        contender.name: {
            "mb_per_second": mib * MIB / 1e6 / contender.median("seconds"),
            "synced_mb_per_second": mib * MIB / 1e6 / median(contender.synced_seconds),
            "cpu_seconds": contender.median("cpu_seconds"),
            "peak_mib": contender.median("peak_mib"),
        }
        for contender in contenders
    }
    if as_json:
        print(json.dumps({"mib": mib, "medians": rows}))
        return
    print(f"{mib} MiB, median of {len(contenders[0].runs)} runs; ratios to openssl enc in the same direction")
    print(f"{'':22}{'MB/s':>8}{'ratio':>8}{'MB/s on disk':>16}{'ratio':>8}{'CPU s':>8}{'peak MiB':>12}")
    for name, row in rows.items():
        first = rows[f"openssl enc {name.rpartition(' ')[2]}"]
        shown = f"{name:22}"
        for figure, width in (("mb_per_second", 8), ("synced_mb_per_second", 16)):
            shown += f"{row[figure]:{width}.0f}{row[figure] / first[figure]:8.2f}"
        print(f"{shown}{row['cpu_seconds']:8.2f}{row['peak_mib']:12.1f}")
