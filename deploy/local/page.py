"""The page of traces and metrics beside a stack: a process of its own, which nothing waits for.

In: the services' ports. Out: its address, and the variables that make services send it their spans.
Every trace is sent, since one person's laptop has few; `OTLP_ENDPOINT` or `TRACE_SAMPLE_RATIO` in
the environment say otherwise.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from deploy.local.processes import LOOPBACK, Process, require_free

READY_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 5.0
ANSWER_SECONDS_MAX = 1.0


class Page:
    """The page's process; `targets` are ports by service."""

    def __init__(self, port: int, targets: Mapping[str, int], folder: Path) -> None:
        self._port = port
        self._targets = dict(targets)
        named = [f"{name}=http://{LOOPBACK}:{number}" for name, number in targets.items()]
        root = Path(__file__).parents[2]
        self._process = Process(
            "view",
            [sys.executable, "-m", "deploy.view", "--port", str(port), *named],
            log=folder / "view.log",
            env=dict(os.environ) | {"PYTHONPATH": str(root)},
        )

    @property
    def url(self) -> str:
        """Where to look."""
        return f"http://{LOOPBACK}:{self._port}"

    def environment(self) -> dict[str, dict[str, str]]:
        """Variables for each service: where spans go, and how many."""
        given = {
            "OTLP_ENDPOINT": os.environ.get("OTLP_ENDPOINT", self.url),
            "TRACE_SAMPLE_RATIO": os.environ.get("TRACE_SAMPLE_RATIO", "1"),
        }
        return {name: dict(given) for name in self._targets}

    def start(self) -> None:
        """Start it, and wait until it answers: the services' first spans are the ones wanted."""
        require_free(self._port, "VIEW_PORT")
        self._process.start()
        self._process.wait_until(self._ready, seconds_max=READY_SECONDS_MAX)

    def stop(self) -> None:
        """Stop it, if it runs."""
        self._process.stop(seconds_max=STOP_SECONDS_MAX)

    def _ready(self) -> bool:
        try:
            answer = httpx.get(f"{self.url}/health/ready", timeout=ANSWER_SECONDS_MAX)
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.OK
