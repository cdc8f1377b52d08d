"""`python -m deploy.view --port 8091 scheduler=http://127.0.0.1:8081 …`: serve the page.

In: the port, and name=URL of each service. Out: a server on 127.0.0.1 until it is told to stop.
"""

import argparse

import uvicorn

from deploy.local.processes import LOOPBACK
from deploy.view.app import create_app

PORT = 8091
CONNECTIONS_MAX = 64
STOP_SECONDS_MAX = 2


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m deploy.view", description=__doc__)
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("targets", nargs="*", type=_target, metavar="NAME=URL")
    given = parser.parse_args()
    uvicorn.run(
        create_app(dict(given.targets)),
        host=LOOPBACK,
        port=given.port,
        log_level="warning",
        access_log=False,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=STOP_SECONDS_MAX,
    )


def _target(text: str) -> tuple[str, str]:
    name, equals, url = text.partition("=")
    if not (name and equals and url.startswith("http://")):
        msg = f"must be NAME=http://…, not {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return name, url.rstrip("/")


if __name__ == "__main__":
    main()
