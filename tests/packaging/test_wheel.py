"""The wheel holds what a producer needs and nothing of what only the service needs."""

import re
import subprocess
import sys
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements" / "dev.txt"
INSTALL = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
SERVICE_ONLY = ("asyncpg", "click", "prometheus_client", "uvloop")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    run(*build, cwd=ROOT)
    return next(folder.glob("kmsq-*.whl"))


@pytest.fixture(scope="module")
def producer(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an empty environment with the wheel and its base dependencies, as the lock pins them."""
    folder = tmp_path_factory.mktemp("producer")
    run(sys.executable, "-m", "venv", str(folder))
    pins = folder / "requirements.txt"
    pins.write_text("".join(pin for name, pin in locked().items() if name in base_dependencies()))
    python = folder / "bin" / "python"
    run(str(python), *INSTALL, "--no-deps", "--require-hashes", "-r", str(pins))
    run(str(python), *INSTALL, "--no-deps", str(wheel))
    return python


def test_the_wheel_contains_the_three_packages_and_metadata_only(wheel: Path) -> None:
    top = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert top == {"kmsq", "kmsq_schemas", "kmsq_worker", f"{wheel.name.rsplit('-', 3)[0]}.dist-info"}


def test_the_wheel_is_typed_and_licensed(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {"kmsq/py.typed", "kmsq_schemas/py.typed", "kmsq_worker/py.typed"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_a_producer_gets_a_consistent_environment(producer: Path) -> None:
    run(str(producer), "-m", "pip", "check")


def test_a_producer_imports_the_client_without_the_services_dependencies(producer: Path) -> None:
    script = f"""
import importlib.util, sys
import kmsq
from kmsq import Client
assert Client.__module__.startswith("kmsq"), Client
present = [name for name in {SERVICE_ONLY!r} if importlib.util.find_spec(name)]
assert not present, present
loaded = [name for name in sys.modules if name.split(".")[0] == "kmsq_worker"]
assert not loaded, loaded
"""
    run(str(producer), "-W", "error", "-c", script)


def locked() -> dict[str, str]:
    """Return the lock's entries, with their hashes, by package name."""
    entries = re.split(r"\n(?=[a-z])", LOCK.read_text())[1:]
    return {re.split(r"[=\s\[]", entry)[0]: entry.rstrip() + "\n" for entry in entries}


def base_dependencies() -> set[str]:
    """Return the names of everything that `pip install kmsq`, without extras, brings along."""
    found: set[str] = set()
    pending = ["kmsq"]
    while pending:
        for line in requires(pending.pop()) or []:
            requirement = Requirement(line)
            name = requirement.name.lower().replace("_", "-")
            if name not in found and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
                found.add(name)
                pending.append(name)
    return found


def run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
