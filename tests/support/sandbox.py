"""The provider sandbox as a process of a test, and a receiver of whatever it posts.

In: command-line options. Out: `Sandbox` with its control endpoints and truth log; `Receiver` with
the webhooks as they came, raw.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import httpx
import msgspec

KEY = "control-key"
SEED = "contract"
DEADLINE_SECONDS = 10.0
STOP_SECONDS_MAX = 10.0

T = TypeVar("T")


class Hook(msgspec.Struct, frozen=True):
    """One webhook as it arrived; header names are lower case."""

    url: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def fields(self) -> dict[str, str]:
        """The body as a form, as Twilio posts it."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


class Receiver:
    """Takes webhooks on 127.0.0.1; `statuses` are answered in turn, then 204."""

    def __init__(self) -> None:
        self.hooks: list[Hook] = []
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                url = f"http://{headers['host']}{self.path}"
                receiver.hooks.append(Hook(url, self.path, headers, body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 204)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Sandbox:
    """One sandbox process and its control endpoints."""

    def __init__(self, *options: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deploy.sandbox", "serve", "--seed", SEED, *options],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "SANDBOX_CONTROL_KEY": KEY, **environment},
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[-1]
        self.http = httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {KEY}"})

    def control(self, method: str, path: str, body: object = None) -> Any:
        answer = self.http.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json()

    def truth(self, after: int = 0) -> list[dict[str, Any]]:
        answer = self.http.get("/sandbox/truth", params={"after": after})
        answer.raise_for_status()
        return [msgspec.json.decode(line) for line in answer.content.splitlines()]

    def newest(self) -> int:
        """Sequence number of the newest line of the truth log."""
        return int(self.control("GET", "/v1/progress")["counters"]["truth"])

    def close(self) -> None:
        self.http.close()
        self.process.terminate()
        assert self.process.wait(STOP_SECONDS_MAX) == 0
        assert self.process.stdout is not None
        self.process.stdout.close()


def eventually(found: Callable[[], T]) -> T:
    """Poll until what is given is true, and return it."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        result = found()
        if result:
            return result
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)
