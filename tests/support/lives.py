"""Random histories of debtors, and their figures by brute force from the facts alone."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.contact_ledger.facts import Fact
from services.contact_ledger.kpis import GRACE_DAYS, Counts
from shared.events.contact import Item
from shared.events.debt import DebtCancelled, PaymentReceived, PaymentReversed, PromiseCancelled
from shared.events.states import STATE_AFTER
from tests.support.ledger import Contact, Debtor

START = datetime(2026, 3, 1, tzinfo=UTC)
END = datetime(2026, 4, 1, tzinfo=UTC)
ACCEPTANCE = ("accepted", "sent", "delivered", "undelivered", "read", "replied")
DELIVERY = ("delivered", "read", "replied")


class Lives:
    """Random histories, and their figures by brute force from the facts alone."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a seeded test
        self.facts: list[Fact] = []
        self.accounts: dict[UUID, tuple[datetime, datetime | None]] = {}
        self.contacts: dict[UUID, tuple[set[UUID], list[tuple[str, datetime]]]] = {}
        self.promises: dict[UUID, tuple[UUID, datetime, datetime | None, int, datetime]] = {}
        self.payments: list[tuple[UUID, int, datetime, bool]] = []
        for _ in range(25):
            self._live(Debtor())

    def instant(self) -> datetime:
        return START + timedelta(minutes=self.random.randrange(-40_000, 80_000))

    def _live(self, debtor: Debtor) -> None:
        entered = self.instant()
        left = self.instant() if self.random.random() < 0.3 else None
        self.accounts[debtor.debt_id] = (entered, left)
        self.facts.append(debtor.registered(entered))
        if left is not None:
            data = debtor.event(DebtCancelled, left)
            self.facts.append(debtor.fact("debt.cancelled.v1", data, left))
        for _ in range(self.random.randrange(6)):
            self._contact(debtor)
        for _ in range(self.random.randrange(3)):
            self._promise(debtor)
        for _ in range(self.random.randrange(4)):
            self._payment(debtor)

    def _contact(self, debtor: Debtor) -> None:
        contact: Contact = debtor.contact()
        if self.random.random() < 0.3 and len(self.accounts) > 1:
            other = self.random.choice(list(self.accounts))
            item = Item(debt_id=other, episode=1, step_key="reminder", stage=1)
            contact.items = (*contact.items, item)
        seen: list[tuple[str, datetime]] = []
        for name in self.random.sample(sorted(STATE_AFTER), self.random.randrange(1, 7)):
            kind = name.removeprefix("contact.").removesuffix(".v1")
            at = self.instant()
            more = {}
            if kind == "replied" and self.random.random() < 0.5:
                more = {"intent": "wrong_person"}
            self.facts.append(contact.state(f"contact.{kind}", at, **more))
            seen.append((f"{kind}-wrong" if more else kind, at))
        debts = {item.debt_id for item in contact.items}
        self.contacts[contact.contact_id] = (debts, seen)

    def _promise(self, debtor: Debtor) -> None:
        made = self.instant()
        due = made + timedelta(days=self.random.randrange(20))
        amount = self.random.randrange(1, 300)
        fact = debtor.promised(made, due.date(), amount)
        self.facts.append(fact)
        withdrawn = None
        if self.random.random() < 0.3:
            withdrawn = made + timedelta(days=self.random.randrange(25))
            data = debtor.event(PromiseCancelled, withdrawn, promise_event_id=fact.event_id)
            self.facts.append(debtor.fact("debt.promise_cancelled.v1", data, withdrawn))
        self.promises[fact.event_id] = (debtor.debt_id, made, withdrawn, amount, due)

    def _payment(self, debtor: Debtor) -> None:
        at = self.instant()
        amount = self.random.randrange(1, 300)
        fact = debtor.paid(at, amount)
        assert isinstance(fact.data, PaymentReceived)
        bounced = self.random.random() < 0.2
        self.facts.append(fact)
        if bounced:
            data = debtor.event(PaymentReversed, at, payment_event_id=fact.event_id, reversed_at=at)
            self.facts.append(debtor.fact("debt.payment_reversed.v1", data, at))
        self.payments.append((debtor.debt_id, amount, at, bounced))

    def counts(self) -> Counts:
        """The same figures by reading every fact again for every one of them."""
        assigned = {
            debt
            for debt, (entered, left) in self.accounts.items()
            if entered < END and (left is None or left > START or left < entered)
        }
        attempted = self._reached(assigned, ACCEPTANCE)
        contacted = self._reached(assigned, DELIVERY)
        right = self._reached(assigned, ("replied", "opted_out"), wrong=False)
        promised = [p for p in self.promises.values() if p[0] in assigned]
        due = [p for p in promised if START <= _midnight(p[4]) < END and not _withdrawn(p)]
        kept = [p for p in due if self._paid(p) >= p[3]]
        return Counts(
            accounts_assigned=len(assigned),
            accounts_attempted=len({d for debts in attempted for d in debts & assigned}),
            accounts_contacted=len({d for debts in contacted for d in debts & assigned}),
            attempts=len(attempted),
            contacts=len(contacted),
            right_party_contacts=len(right),
            promises=sum(START <= p[1] < END for p in promised),
            promises_due=len(due),
            promises_kept=len(kept),
            promises_broken=len(due) - len(kept),  # the period is long past
        )

    def _reached(
        self, assigned: set[UUID], kinds: Iterable[str], *, wrong: bool = True
    ) -> list[set[UUID]]:
        """The debts of each contact whose earliest such fact falls into the period."""
        wanted = {*kinds, *(["opted_out", "replied-wrong"] if wrong else [])}
        found = []
        for debts, seen in self.contacts.values():
            moments = [at for kind, at in seen if kind in wanted]
            if moments and START <= min(moments) < END and debts & assigned:
                found.append(debts)
        return found

    def _paid(self, promise: tuple[UUID, datetime, datetime | None, int, datetime]) -> int:
        debt, made, _, _, due = promise
        last = due.date() + timedelta(days=GRACE_DAYS)
        return sum(
            amount
            for paid_debt, amount, at, bounced in self.payments
            if paid_debt == debt and not bounced and made.date() <= at.date() <= last
        )


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _withdrawn(promise: tuple[UUID, datetime, datetime | None, int, datetime]) -> bool:
    return promise[2] is not None and promise[2].date() <= promise[4].date()
