"""What an imitated provider is, and what the sandbox gives it to live on.

In: requests that its clients send, accounts that tests register, and what the debtors do. Out: its
answers, its receipts and replies in its own words and signatures. A provider is a module of its own
and one line in `providers.py`; fate, faults, time and the truth log are shared by all.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from deploy.sandbox.clock import LawClock
from deploy.sandbox.faults import Fault, FaultScript
from deploy.sandbox.messages import Message
from deploy.sandbox.schedule import Schedule
from deploy.sandbox.webhooks import Fate, Webhooks
from deploy.sandbox.wire import Answer, Request
from deploy.sandbox.witness import Witness


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What every provider shares. `accepted` hands a message over to the debtors' world.

    `host` and `smtp_port` (0: any free one) are for providers that listen themselves.
    """

    seed: str
    clock: LawClock
    schedule: Schedule
    witness: Witness
    faults: FaultScript
    webhooks: Webhooks
    accepted: Callable[[Message, tuple[Fault, ...]], None]
    host: str = "127.0.0.1"
    smtp_port: int = 0


class Provider(Protocol):
    """One imitated provider.

    `tells_read` says that it reports when a person has opened a message. `counters` only grow.
    """

    name: str
    tells_read: bool
    counters: dict[str, int]

    def takes(self, path: str) -> bool:
        """Say whether a request to `path` is this provider's."""

    def handle(self, request: Request) -> "Answer | Awaitable[Answer]":
        """Answer a request that `takes` claimed."""

    def register(self, fields: bytes) -> dict[str, object]:
        """Add or replace an account (JSON of the provider's own shape); return what is public.

        Raises `ValueError` or msgspec's errors, naming what is wrong.
        """

    def accounts(self) -> list[dict[str, object]]:
        """Return what is public of every account."""

    def find(self, sid: str) -> Message | None:
        """Return an accepted message by the provider's own name for it."""

    def status(self, message: Message, status: str, code: int | str | None, fate: Fate) -> None:
        """Tell the client that `message` is now `status`; `fate` is called with the answer.

        `status` is queued, sent, delivered, undelivered or read, or whatever a test scripted;
        `code` is a cause of `behaviour` (or scripted). Without a receiver call `fate(None)`.
        """

    def reply(self, about: Message, text: str, intent: str | None) -> None:
        """Let the recipient of `about` write `text` back; `intent` is noted in the truth log."""

    async def start(self) -> None:
        """Open what the provider listens on besides the sandbox's HTTP port."""

    async def close(self) -> None:
        """Close it again."""
