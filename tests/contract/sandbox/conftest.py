"""A running sandbox, a receiver of its webhooks, and the provider's own SDK as its client."""

import base64
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import httpx
import msgspec
import pytest
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

KEY = "control-key"
SID = "AC" + "0123456789abcdef" * 2
TOKEN = "sandbox-token"
NUMBER = "+15017122661"
DEBTOR = "+5511987654321"
DEADLINE_SECONDS = 10.0

T = TypeVar("T")


class Hook(msgspec.Struct):
    """One webhook as it arrived."""

    path: str
    fields: dict[str, str]
    signature: str
    url: str


class Receiver:
    """Takes webhooks on 127.0.0.1; `statuses` are answered in turn, then 204."""

    def __init__(self) -> None:
        self.hooks: list[Hook] = []
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"])).decode()
                url = f"http://{self.headers['host']}{self.path}"
                fields = dict(parse_qsl(raw, keep_blank_values=True))
                signature = self.headers["x-twilio-signature"]
                receiver.hooks.append(Hook(self.path, fields, signature, url))
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

    def told(self, sid: str) -> list[str]:
        """Statuses told about a message, in order of arrival."""
        return [h.fields["MessageStatus"] for h in list(self.hooks)
                if h.fields.get("MessageSid") == sid and "MessageStatus" in h.fields]  # fmt: skip

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Sandbox:
    """One sandbox process and its control endpoints."""

    def __init__(self, *options: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deploy.sandbox", "serve", "--seed", "contract", *options],
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

    def close(self) -> None:
        self.http.close()
        self.process.terminate()
        assert self.process.wait(10) == 0
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(scope="module")
def running(receiver: Receiver) -> Iterator[Sandbox]:
    made = Sandbox()
    numbers = [{"number": NUMBER, "inbound_url": f"{receiver.url}/inbound"}]
    made.control("POST", "/sandbox/accounts", {"sid": SID, "token": TOKEN, "numbers": numbers})
    yield made
    made.close()


@pytest.fixture
def sandbox(running: Sandbox, receiver: Receiver) -> Sandbox:
    """The sandbox with debtors who never answer and no faults in force."""
    running.control("DELETE", "/sandbox/faults")
    running.control("POST", "/sandbox/behaviour", {"preset": "silent", "callback_retry_ms": [20]})
    receiver.statuses.clear()
    return running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    """The official SDK, pointed at the sandbox."""
    http = TwilioHttpClient(timeout=5)
    made = Client(SID, TOKEN, http_client=http)
    made.api.base_url = sandbox.url
    yield made
    if http.session is not None:
        http.session.close()


@pytest.fixture
def raw(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """A plain HTTP client with the account's credentials."""
    token = base64.b64encode(f"{SID}:{TOKEN}".encode()).decode()
    headers = {"Authorization": f"Basic {token}"}
    with httpx.Client(base_url=sandbox.url, headers=headers, timeout=5) as made:
        yield made


@pytest.fixture
def eventually() -> Callable[[Callable[[], T]], T]:
    """Return a function that polls until what it is given is true, and returns it."""

    def wait(found: Callable[[], T]) -> T:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            result = found()
            if result:
                return result
            assert time.monotonic() < deadline, "did not happen in time"
            time.sleep(0.01)

    return wait
