"""The command `kmsq-worker`: what needs the database or the root key."""

import sys


def main() -> None:
    """Run the command line; say what to install if it was installed without the worker."""
    try:
        from kmsq_worker.cli import cli  # noqa: PLC0415  # so that a missing extra is explained, not traced
    except ImportError as error:
        sys.stderr.write(f"kmsq-worker: {error.name} is missing: pip install 'kmsq[worker]'\n")
        sys.exit(1)
    cli(prog_name="kmsq-worker")


if __name__ == "__main__":
    main()
