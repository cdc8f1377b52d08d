"""A running sandbox, a receiver of its webhooks, and the provider's own SDK as its client."""

import base64
from collections.abc import Callable, Iterator
from typing import TypeVar

import httpx
import pytest
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from tests.support import sandbox as process
from tests.support.sandbox import Sandbox
from tests.support.sandbox import eventually as poll

SID = "AC" + "0123456789abcdef" * 2
TOKEN = "sandbox-token"
NUMBER = "+15017122661"
DEBTOR = "+5511987654321"
SIGNATURE = "x-twilio-signature"

T = TypeVar("T")


class Receiver(process.Receiver):
    """Takes Twilio's webhooks."""

    def told(self, sid: str) -> list[str]:
        """Statuses told about a message, in order of arrival."""
        return [h.fields["MessageStatus"] for h in list(self.hooks)
                if h.fields.get("MessageSid") == sid and "MessageStatus" in h.fields]  # fmt: skip


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
