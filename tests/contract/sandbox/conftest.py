"""A running sandbox, a receiver of its webhooks, and the provider's own SDK as its client."""

import base64
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar
from urllib.parse import parse_qsl

import httpx
import msgspec
import pytest
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from tests.support.sandbox import Sandbox
from tests.support.sandbox import eventually as poll

SID = "AC" + "0123456789abcdef" * 2
TOKEN = "sandbox-token"
NUMBER = "+15017122661"
DEBTOR = "+5511987654321"

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
    """The sandbox with debtors who never answer, no faults in force, and nothing on its way."""
    poll(lambda: not any(running.control("GET", "/v1/progress")["pending"].values()))
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
    return poll
