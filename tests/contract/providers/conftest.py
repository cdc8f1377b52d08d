"""One sandbox with every provider's account, one receiver, and an adapter at work between them."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest

from shared.events import identities
from shared.events.configuration import SenderAccount
from shared.sender.attempts import Attempt, Frame
from shared.sender.callbacks import Callbacks, webhook_path
from shared.sender.calls import new_client, proves
from shared.sender.provider import (
    Account,
    AsksBack,
    Batching,
    Sending,
    SendResult,
    StatusReceipt,
    WebhookEvent,
    WebhookRequest,
)
from tests.contract.providers.cases import PROVIDERS
from tests.contract.providers.entry import Entry
from tests.support.sandbox import Hook, Receiver, Sandbox, eventually

TENANT, ACCOUNT = "acme", "main"
READ_SECONDS = 0.4  # the sandbox answers within milliseconds unless told to be silent
DAY = date(2026, 11, 22)

_numbers = count(1)


class Bench:
    """One provider's adapter against its sandbox."""

    def __init__(
        self,
        entry: Entry,
        sandbox: Sandbox,
        receiver: Receiver,
        client: aiohttp.ClientSession,
        settings: SenderAccount,
    ) -> None:
        self.entry = entry
        self.sandbox = sandbox
        self.receiver = receiver
        self.client = client
        self.provider = entry.provider
        self.account = self.account_with(settings)
        self.callbacks = Callbacks(receiver.url, b"k" * 32)
        self.address = entry.address(next(_numbers))
        self.contact_id = uuid4()
        self.after = sandbox.newest()

    def account_with(self, settings: SenderAccount, **credentials: str) -> Account:
        """Return the account with other settings or credentials."""
        return Account(
            tenant_id=TENANT,
            account_id=ACCOUNT,
            settings=settings,
            credentials={**self.entry.credentials, **credentials},
        )

    # Sending.

    async def send(self, text: str = "Olá", account: Account | None = None) -> SendResult:
        """Make one call as the runtime does; what is raised is classified by the runtime."""
        attempt = self._attempt()
        sending = Sending(
            callback_url=self.callbacks.url(attempt),
            validity_seconds=3_600,
            reference=self.callbacks.reference(attempt),
            unsubscribe_url=f"{self.receiver.url}/unsubscribe/x",
            sandbox=True,
        )
        message = self.entry.message(self.address, text)
        try:
            result: SendResult = await self.provider.send(
                self.client, account or self.account, message, sending
            )
        except Exception as error:  # noqa: BLE001 - the runtime takes what comes
            return proves(error)
        return result

    def script(self, **fault: Any) -> None:
        """Let this bench's recipient meet a trouble once."""
        fault = {"times": 1, **fault, "match": {"recipient": self.address}}
        self.sandbox.control("POST", "/sandbox/faults", fault)

    def truth(self, kind: str) -> list[dict[str, Any]]:
        """What the provider noted of a kind since this test began."""
        return [line for line in self.sandbox.truth(self.after) if line["kind"] == kind]

    def _attempt(self) -> Attempt:
        frame = Frame(
            portfolio_id="p", channel=self.entry.channel.name, step_key="d3", stage=1,
            template="t", items=(),
        )  # fmt: skip
        return Attempt(
            attempt_id=identities.attempt_id(self.contact_id, 1),
            contact_id=self.contact_id,
            n=1,
            ends_on=DAY,
            debtor_id=uuid4(),
            tenant_id=TENANT,
            account_id=ACCOUNT,
            provider=self.entry.name,
            frame=frame,
            not_after=datetime(2026, 11, 22, 20, tzinfo=UTC),
        )

    # What comes back.

    def request(self, hook: Hook, **changes: Any) -> WebhookRequest:
        """Return a webhook as the runtime hands it to the adapter."""
        fields: dict[str, Any] = {
            "url": hook.url,
            "headers": hook.headers,
            "body": hook.body,
            "received_at": datetime.now(UTC),  # noqa: TID251 - providers sign their machine's time
        }
        return WebhookRequest(**(fields | changes))

    async def is_genuine(self, request: WebhookRequest, account: Account | None = None) -> bool:
        """Ask the adapter, after whatever it must fetch first."""
        account = account or self.account
        if isinstance(self.provider, AsksBack):
            await self.provider.prepare(self.client, request, account)
        return bool(self.provider.authenticate(request, account))

    def read(self, body: bytes) -> list[WebhookEvent]:
        """Return the events of a webhook, one company after the other."""
        parts = self.provider.split(body) if isinstance(self.provider, Batching) else (body,)
        return [event for part in parts for event in self.provider.read_webhook(part)]

    def named(self, hook: Hook, event: WebhookEvent) -> UUID | None:
        """Return the contact that a receipt names, by its URL or by our reference in it."""
        query = dict(
            pair.split("=", 1) for pair in hook.url.partition("?")[2].split("&") if "=" in pair
        )
        found = self.callbacks.read(TENANT, ACCOUNT, query)
        reference = getattr(event, "our_reference", None)
        if found is None and reference is not None:
            found = self.callbacks.read_reference(TENANT, ACCOUNT, reference)
        return None if found is None else found.contact_id

    def arrived(self) -> list[tuple[Hook, WebhookEvent]]:
        """Every event about this bench's message or person so far, with the webhook it came in."""
        found = []
        for hook in list(self.receiver.hooks):
            for event in self.read(hook.body) if self.entry.name in hook.path else ():
                mine = self.named(hook, event) == self.contact_id
                if mine or getattr(event, "from_address", None) == self.address:
                    found.append((hook, event))
        return found

    def receipts(self) -> list[StatusReceipt]:
        """Every receipt about this bench's message so far."""
        return [event for _, event in self.arrived() if isinstance(event, StatusReceipt)]

    def drained(self) -> bool:
        """Whether the sandbox has nothing on its way."""
        progress = self.sandbox.control("GET", "/v1/progress")
        return not any(progress["pending"].values())

    def wait(self) -> None:
        """Wait until everything that was on its way has arrived."""
        eventually(self.drained)


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(scope="session")
def running(receiver: Receiver) -> Iterator[tuple[Sandbox, dict[str, Any]]]:
    """The sandbox, and what each provider's registration answered."""
    made = Sandbox()
    answers = {}
    for entry in PROVIDERS:
        url = receiver.url + webhook_path(entry.name, TENANT, ACCOUNT)
        body = {"provider": entry.name, **entry.registration(url)}
        answers[entry.name] = made.control("POST", "/sandbox/accounts", body)
    yield made, answers
    made.close()


@pytest.fixture
async def bench(
    entry: Entry, running: tuple[Sandbox, dict[str, Any]], receiver: Receiver
) -> AsyncIterator[Bench]:
    """The adapter of `entry`, silent debtors, no faults in force."""
    sandbox, answers = running
    sandbox.control("DELETE", "/sandbox/faults")
    sandbox.control("POST", "/sandbox/behaviour", {"preset": "silent", "callback_retry_ms": [20]})
    receiver.hooks.clear()
    receiver.statuses.clear()
    settings = entry.settings(sandbox.url, answers[entry.name])
    async with new_client(4, 2.0, READ_SECONDS) as client:
        yield Bench(entry, sandbox, receiver, client, settings)
        if hasattr(entry.provider, "close"):
            await entry.provider.close()
