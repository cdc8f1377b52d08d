"""A sandbox with one business account, a receiver of its webhooks, and pywa as its client."""

from collections.abc import Iterator

import pytest
from pywa.client import WhatsApp

from tests.support import meta
from tests.support.sandbox import Receiver, Sandbox


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    made = Sandbox()
    yield made
    made.close()


@pytest.fixture
def sandbox(running: Sandbox, receiver: Receiver) -> Sandbox:
    """Silent debtors, no faults, a fresh account."""
    running.control("DELETE", "/sandbox/faults")
    running.control("POST", "/sandbox/behaviour", {"preset": "silent", "callback_retry_ms": [20]})
    receiver.hooks.clear()
    running.control("POST", "/sandbox/accounts", meta.account(f"{receiver.url}/meta"))
    return running


@pytest.fixture
def wa(sandbox: Sandbox) -> WhatsApp:
    return meta.client(sandbox.url)
