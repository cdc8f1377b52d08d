"""The health check of a container: asks the process beside it whether it takes work.

In: HTTP_PORT, and HTTP_HOST when the process listens on one address alone. Out: exit code 0 when
GET /health/ready answers 200, else 1 and one line that says why. Only Python's own library, so that
a check costs a twentieth of a second and no memory.
"""

import http.client
import os
import sys

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - what a process in a container listens on
PATH = "/health/ready"
ANSWER_SECONDS_MAX = 3.0  # below the `timeout` that the compose file gives the whole check
OK = 200


def main() -> int:
    """Ask once; return the exit code."""
    port = os.environ.get("HTTP_PORT", "")
    if not port.isdigit():
        return _unhealthy("HTTP_PORT is not set: there is no port to ask")
    host = os.environ.get("HTTP_HOST", EVERYWHERE)
    host = LOOPBACK if host == EVERYWHERE else host
    connection = http.client.HTTPConnection(host, int(port), timeout=ANSWER_SECONDS_MAX)
    try:
        connection.request("GET", PATH)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return _unhealthy(f"no answer on port {port} ({type(error).__name__})")
    finally:
        connection.close()
    return 0 if status == OK else _unhealthy(f"{PATH} answered {status}")


def _unhealthy(reason: str) -> int:
    sys.stderr.write(f"unhealthy: {reason}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
