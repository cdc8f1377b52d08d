"""What happens after the provider accepted a message: receipts, replies, payments.

In: accepted messages with the faults they met. Out: webhooks at their time, payments for the
client system to collect. Short delays run on machine time, long ones on law time. Who asked to be
left alone stays silent, and who paid does not pay again, whichever of their addresses it was.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Protocol

import msgspec

from deploy.sandbox import behaviour, phrases
from deploy.sandbox.behaviour import Plan, Profile
from deploy.sandbox.clock import LawClock
from deploy.sandbox.faults import Fault
from deploy.sandbox.messages import Message
from deploy.sandbox.people import People
from deploy.sandbox.receipts import Step, opened, receipts
from deploy.sandbox.schedule import Schedule
from deploy.sandbox.witness import Witness

PAYMENTS_MAX = 1_000_000
PROMISED_HOUR = time(15, 0, tzinfo=UTC)  # the hour of the promised day at which people pay

_FINAL = frozenset({"undelivered", "read"})
_BACKWARDS = ("delivered", "sent")  # a receipt told late changes nothing
_SILENCING = frozenset({"opt_out_keyword", "opt_out_words", "wrong_person", "dispute"})


class Payment(msgspec.Struct, frozen=True):
    """A payment that a debtor made at the client's counter: `fraction` of what was asked."""

    seq: int
    recipient: str
    fraction: float
    law_at: datetime
    reason: str
    contact_id: str | None = None
    debtor_id: str | None = None


class Voice(Protocol):
    """How a provider tells its client what the debtors do."""

    @property
    def tells_read(self) -> bool:
        """Whether the client hears that a message was opened."""

    def status(
        self,
        message: Message,
        status: str,
        code: int | str | None,
        fate: Callable[[int | None], None],
    ) -> None:
        """Tell what became of a message; `fate` gets the answer."""

    def reply(self, about: Message, text: str, intent: str | None) -> None:
        """Carry a text from the recipient of `about` back to its sender."""


class Debtors:
    """Everybody who has an address."""

    def __init__(
        self,
        *,
        clock: LawClock,
        schedule: Schedule,
        witness: Witness,
        people: People,
        seed: str,
    ) -> None:
        """Live in this world, with `seed` as fate."""
        self._clock = clock
        self._schedule = schedule
        self._witness = witness
        self._seed = seed
        self.people = people
        self.providers: Mapping[str, Voice] = {}
        self.profile = Profile()
        self.payments: list[Payment] = []
        self.receipts_open = 0
        self._soon: list[Callable[[], None]] = []

    def accepted(self, message: Message, faults: tuple[Fault, ...]) -> None:
        """Live on from an accepted message."""
        nth = self.people.get(message.to).written_to(message)
        plan = behaviour.plan(self.profile, self._seed, message.to, nth)
        lost = any(fault.kind == "lose_receipts" for fault in faults)
        copies = 2 if any(fault.kind == "duplicate_receipt" for fault in faults) else 1
        steps = receipts(plan, message.validity_seconds, self.profile.statuses, faults)
        if self.providers[message.provider].tells_read and not lost:
            steps = opened(steps, plan)
        self._walk(message, steps, copies=0 if lost else copies, plan=plan)

    def reply(
        self, recipient: str, text: str, intent: str | None, provider: str | None = None
    ) -> bool:
        """Send a text from `recipient` to whoever wrote last; False when nobody did.

        `provider` narrows it to those who wrote through that provider.
        """
        about = self.people.get(recipient).last_from(provider)
        if about is None:
            return False
        self._write(about, text, intent)
        return True

    # Receipts.

    def _walk(self, message: Message, steps: list[Step], *, copies: int, plan: Plan) -> None:
        """Take the first step at its time, then the rest."""
        if not steps:
            return
        step = steps[0]

        def fire() -> None:
            self._tell(message, steps, copies=copies, plan=plan)

        if step.wait_law_seconds is not None:
            wait = timedelta(seconds=step.wait_law_seconds)
            self._clock.stamp(lambda law: self._schedule.at(law + wait, self._counted(fire)))
            return
        self.receipts_open += 1
        if step.wait_ms:
            asyncio.get_running_loop().call_later(step.wait_ms / 1_000, fire)
            return
        if not self._soon:
            asyncio.get_running_loop().call_soon(self._fire_soon)
        self._soon.append(fire)

    def _fire_soon(self) -> None:
        """Fire what waits for nothing but the provider's answer to be on its way."""
        soon, self._soon = self._soon, []
        for fire in soon:
            fire()

    def _counted(self, fire: Callable[[], None]) -> Callable[[], None]:
        def counted() -> None:
            self.receipts_open += 1
            fire()

        return counted

    def _tell(self, message: Message, steps: list[Step], *, copies: int, plan: Plan) -> None:
        step = steps[0]
        message.updated = self._clock.now
        if message.status not in _FINAL and (message.status, step.status) != _BACKWARDS:
            message.status, message.error_code = step.status, step.code
        if step.status == "sent":
            message.sent = message.updated
        if step.status == "delivered":
            self._read(message, plan)
        left = copies

        def told(_: int | None) -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                self.receipts_open -= 1
                self._walk(message, steps[1:], copies=copies, plan=plan)

        if not copies:
            told(None)
        for _ in range(copies):
            self.providers[message.provider].status(message, step.status, step.code, told)

    # People.

    def _read(self, message: Message, plan: Plan) -> None:
        """Decide what the person does about a message that arrived."""
        if plan.intent is None and not plan.pays:
            return

        def when(law: datetime) -> None:
            if plan.intent is not None:
                at = law + timedelta(seconds=plan.reply_seconds)
                self._schedule.at(at, lambda: self._answer(message, plan, at))
            if plan.pays:
                at_pay = law + timedelta(seconds=plan.pay_seconds)
                self._schedule.at(
                    at_pay, lambda: self._pay(message, plan.pay_fraction, at_pay, "by itself")
                )

        self._clock.stamp(when)

    def _answer(self, message: Message, plan: Plan, law_at: datetime) -> None:
        person = self.people.get(message.to)
        if person.silent or person.paid or plan.intent is None:
            return
        spanish = behaviour.speaks_spanish(self.profile, self._seed, person.address)
        language = phrases.language_of(person.address, spanish=spanish)
        reply = phrases.compose(
            plan.intent,
            language,
            message.body,
            today=law_at.date(),
            days=self.profile.promise_days,
            luck=plan.luck,
        )
        if plan.intent in _SILENCING:
            person.silent = True
        if reply.due is not None and plan.promise_kept:
            due = datetime.combine(reply.due, PROMISED_HOUR)
            fraction = reply.fraction or 1.0
            self._schedule.at(due, lambda: self._pay(message, fraction, due, "promised"))
        if plan.intent == "paid" and plan.luck % 2:
            self._pay(message, 1.0, law_at, "said so")
        self._write(message, reply.text, plan.intent)

    def _pay(self, message: Message, fraction: float, law_at: datetime, reason: str) -> None:
        person = self.people.get(message.to)
        if person.paid or person.silent or len(self.payments) >= PAYMENTS_MAX:
            return
        person.paid = fraction >= 1.0
        self.payments.append(
            Payment(
                seq=len(self.payments) + 1,
                recipient=person.address,
                fraction=fraction,
                law_at=law_at,
                reason=reason,
                contact_id=message.contact_id,
                debtor_id=message.debtor_id,
            )
        )
        entry = self._witness.entry("payment", "debtor", message)
        entry.account = None
        self._witness.write(entry)

    def _write(self, about: Message, text: str, intent: str | None) -> None:
        """Send `text` from the person back to the number that wrote `about`."""
        self.providers[about.provider].reply(about, text, intent)
