"""The parts of one sandbox, put together: providers, debtors, faults, truth, clock.

In: settings of the process. Out: a `World` whose `handle` answers every request and whose
`progress` says what is still on its way.
"""

from collections import Counter
from collections.abc import Awaitable
from datetime import datetime
from pathlib import Path
from typing import TypedDict

import msgspec

from deploy.sandbox.behaviour import Profile
from deploy.sandbox.callbacks import CallbackClient
from deploy.sandbox.clock import LawClock
from deploy.sandbox.debtors import Debtors
from deploy.sandbox.faults import FaultScript
from deploy.sandbox.messages import Message
from deploy.sandbox.people import People
from deploy.sandbox.provider import Parts, Provider
from deploy.sandbox.providers import PROVIDERS
from deploy.sandbox.schedule import Schedule
from deploy.sandbox.truth import ENTRIES_MAX, TruthLog
from deploy.sandbox.webhooks import Webhooks
from deploy.sandbox.wire import Answer, Gate, Request
from deploy.sandbox.witness import Witness


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """How one sandbox is started. Without `clock_url` law time is machine time."""

    control_key: str
    host: str = "127.0.0.1"  # every listener of the sandbox binds it
    smtp_port: int = 0  # 0: any free one, told when an account is registered
    port: int = 0
    seed: str = "1"
    clock_url: str | None = None
    clock_key: str | None = None
    truth_file: Path | None = None
    truth_entries_max: int = ENTRIES_MAX


class Progress(TypedDict):
    """What `GET /v1/progress` tells: monotone counters, zeros when drained, next law instant."""

    counters: dict[str, int]
    pending: dict[str, int]
    next_due: datetime | None


class World:
    """The providers and their debtors."""

    def __init__(self, setup: Setup) -> None:
        """Build every part; nothing runs yet."""
        seed = setup.seed
        self.schedule = Schedule()
        self.clock = LawClock(setup.clock_url, setup.clock_key, self.schedule.run_due)
        self.truth = TruthLog(entries_max=setup.truth_entries_max, spill=setup.truth_file)
        self.faults = FaultScript(seed)
        self.client = CallbackClient()
        people = People()
        witness = Witness(self.truth, self.clock, people, seed)
        self.webhooks = Webhooks(self.client, witness)
        self.debtors = Debtors(
            clock=self.clock, schedule=self.schedule, witness=witness, people=people, seed=seed
        )
        parts = Parts(
            seed=seed,
            clock=self.clock,
            schedule=self.schedule,
            witness=witness,
            faults=self.faults,
            webhooks=self.webhooks,
            accepted=self.debtors.accepted,
            host=setup.host,
            smtp_port=setup.smtp_port,
        )
        self.providers = {name: make(parts) for name, make in PROVIDERS.items()}
        self.debtors.providers = self.providers
        self.gate: Gate | None = None
        self.behave(Profile())

    def behave(self, profile: Profile) -> None:
        """Let everybody behave by `profile` from now on."""
        self.debtors.profile = profile
        self.webhooks.retry_ms = profile.callback_retry_ms

    def provider(self, request: Request) -> "Answer | Awaitable[Answer] | None":
        """Answer a provider's request; None when the path belongs to no provider."""
        for provider in self.providers.values():
            if provider.takes(request.path):
                return provider.handle(request)
        return None

    def find(self, sid: str) -> tuple[Provider, Message] | None:
        """Return an accepted message by its provider's name for it, and that provider."""
        for provider in self.providers.values():
            message = provider.find(sid)
            if message is not None:
                return provider, message
        return None

    async def start(self) -> None:
        """Let providers open what they listen on besides HTTP."""
        for provider in self.providers.values():
            await provider.start()

    def progress(self) -> Progress:
        """Say what was done and what is still on its way."""
        unanswered = self.gate.unanswered - 1 if self.gate is not None else 0
        return Progress(
            counters={
                **self._sums(),
                **self.webhooks.counters,
                "payments": len(self.debtors.payments),
                "truth": self.truth.last,
            },
            pending={
                "unanswered": max(0, unanswered),  # all but the request that asks
                "unstamped": self.clock.unstamped,
                "receipts": self.debtors.receipts_open,
                "webhooks": self.webhooks.pending,
                "due": self.schedule.overdue(self.clock.now),
            },
            next_due=self.schedule.next_due,
        )

    def _sums(self) -> Counter[str]:
        """Add up what the providers count under the same name."""
        sums: Counter[str] = Counter()
        for provider in self.providers.values():
            sums.update(provider.counters)
        return sums

    async def close(self) -> None:
        """Let go of connections and files."""
        for provider in self.providers.values():
            await provider.close()
        self.client.close()
        await self.clock.close()
        self.truth.close()
