"""The parts of one sandbox, put together: provider, debtors, faults, truth, clock.

In: settings of the process. Out: a `World` whose `handle` answers every request and whose
`progress` says what is still on its way.
"""

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
from deploy.sandbox.messages import Store
from deploy.sandbox.schedule import Schedule
from deploy.sandbox.truth import ENTRIES_MAX, TruthLog
from deploy.sandbox.twilio import PREFIX, Twilio
from deploy.sandbox.webhooks import Webhooks
from deploy.sandbox.wire import Answer, Gate, Request


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """How one sandbox is started. Without `clock_url` law time is machine time."""

    control_key: str
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
    """One provider and its debtors."""

    def __init__(self, setup: Setup) -> None:
        """Build every part; nothing runs yet."""
        seed = setup.seed
        self.schedule = Schedule()
        self.clock = LawClock(setup.clock_url, setup.clock_key, self.schedule.run_due)
        self.truth = TruthLog(entries_max=setup.truth_entries_max, spill=setup.truth_file)
        self.store = Store()
        self.faults = FaultScript(seed)
        self.client = CallbackClient()
        self.webhooks = Webhooks(self.client, self.truth, self.clock)
        self.debtors = Debtors(
            store=self.store,
            webhooks=self.webhooks,
            clock=self.clock,
            schedule=self.schedule,
            truth=self.truth,
            seed=seed,
        )
        self.twilio = Twilio(self.store, self.faults, self.truth, self.clock, seed)
        self.twilio.accepted = self.debtors.accepted
        self.gate: Gate | None = None
        self.behave(Profile())

    def behave(self, profile: Profile) -> None:
        """Let everybody behave by `profile` from now on."""
        self.debtors.profile = profile
        self.webhooks.retry_ms = profile.callback_retry_ms

    def provider(self, request: Request) -> "Answer | Awaitable[Answer] | None":
        """Answer a provider's request; None when the path belongs to no provider."""
        return self.twilio.handle(request) if request.path.startswith(PREFIX) else None

    def progress(self) -> Progress:
        """Say what was done and what is still on its way."""
        unanswered = self.gate.unanswered - 1 if self.gate is not None else 0
        return Progress(
            counters={
                **self.twilio.counters,
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

    async def close(self) -> None:
        """Let go of connections and files."""
        self.client.close()
        await self.clock.close()
        self.truth.close()
