"""A worker that leaves, as a crash would have it, when it has done the step that `KMSQ_TEST_CRASH_AT` names."""

import os

from kmsq_worker import app
from kmsq_worker.settings import load
from kmsq_worker.telemetry import configure_logging

CRASHED = 77  # exit status


def main() -> None:
    """Run until the step is reached."""
    fatal = os.environ["KMSQ_TEST_CRASH_AT"]

    def reached(step: str) -> None:
        if step == fatal:
            os._exit(CRASHED)

    settings = load()
    configure_logging(settings.log_level)
    app.run(settings, reached=reached)


if __name__ == "__main__":
    main()
