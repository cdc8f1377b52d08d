"""Random histories, and a witness that plays them against the policy.

A history is a list of events and of things that happen to contacts, on a clock that only moves
forward. After every step the policy decides; what passes the gate is dispatched and accepted,
failed or left unknown as the history says.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from services.scheduler.policy.decision import Decision, Defer, Drop, Go
from services.scheduler.policy.progress import deferred, dispatched, dropped
from services.scheduler.policy.state import DebtorState
from shared.events import debt as events
from shared.events.states import ContactState
from tests.unit.scheduler.policy.builders import (
    DEBTOR,
    TENANT,
    Desk,
    at,
    point,
    registered,
    rulebook,
    uid,
)

BOOK = rulebook()
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
START = at("2026-10-01 12:00")
DEBTS = ("d1", "d2", "d3")
EXAMPLES = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

Move = tuple[str, str, int, int]  # what, which debt, hours later, a number to use


def moves(*kinds: str) -> st.SearchStrategy[list[Move]]:
    """All debts registered at random ages, then what may happen to them over weeks."""
    sizes = st.integers(0, 1_000_000)
    later = st.tuples(st.sampled_from(kinds), st.sampled_from(DEBTS), st.integers(3, 70), sizes)
    return st.tuples(
        st.lists(sizes, min_size=3, max_size=3), st.lists(later, min_size=5, max_size=25)
    ).map(
        lambda drawn: [
            *(("register", name, 0, size) for name, size in zip(DEBTS, drawn[0], strict=True)),
            *drawn[1],
        ]
    )


EVENT_KINDS = (
    "register",
    "update",
    "pay",
    "reverse",
    "cancel",
    "dispute",
    "resolve",
    "promise",
    "agree",
    "hold",
    "lift",
    "revoke",
    "grant",
    "recorded",
    "reage",
)
HISTORY = moves(*("tick",) * 15, *EVENT_KINDS)
GENTLE = moves(*("tick",) * 9, "pay", "promise", "update", "reage")


def event_of(move: Move, now: datetime, number: int) -> tuple[str, Any, Any]:
    """Make the event of a move: its type, itself, its id."""
    kind, name, _, size = move
    person = {"debtor_id": DEBTOR, "occurred_at": now, "recorded_at": now}
    base = person | {"debt_id": uid(name), "portfolio_id": "br"}
    makers = _figures(base, now, size) | _words(base, now, size, number) | _person(person, now)
    event_type, event = makers[kind]()
    return event_type, event, uid(f"event {number}")


Makers = dict[str, Callable[[], tuple[str, Any]]]


def _figures(base: dict[str, Any], now: datetime, size: int) -> Makers:
    day = now.date() + timedelta(days=size % 20)
    due = date(2026, 10, 1) + timedelta(days=size % 40 - 20)
    points = (point(), point("+5511912345678"))
    return {
        "register": lambda: (
            "debt.registered",
            registered(**base, due_date=due, contact_points=points),
        ),
        "update": lambda: ("debt.updated", events.DebtUpdated(**base, interest=size)),
        "reage": lambda: ("debt.updated", events.DebtUpdated(**base, due_date=day)),
        "cancel": lambda: ("debt.cancelled", events.DebtCancelled(**base)),
        "dispute": lambda: ("debt.disputed", events.DebtDisputed(**base)),
        "resolve": lambda: (
            "debt.dispute_resolved",
            events.DisputeResolved(**base, outcome="upheld"),
        ),
    }


def _words(base: dict[str, Any], now: datetime, size: int, number: int) -> Makers:
    day = now.date() + timedelta(days=size % 20)
    earlier = uid(f"event {max(number - 2, 0)}")
    plan = (events.Instalment(amount=size + 1, due_date=day),)
    return {
        "pay": lambda: (
            "debt.payment_received",
            events.PaymentReceived(**base, amount=size % 150_000, currency="BRL", paid_at=now),
        ),
        "reverse": lambda: (
            "debt.payment_reversed",
            events.PaymentReversed(**base, payment_event_id=earlier, reversed_at=now),
        ),
        "promise": lambda: (
            "debt.promise_made",
            events.PromiseMade(**base, amount=size % 90_000 + 1, currency="BRL", due_date=day),
        ),
        "agree": lambda: (
            "debt.agreement_made",
            events.AgreementMade(**base, currency="BRL", instalments=plan),
        ),
    }


def _person(person: dict[str, Any], now: datetime) -> Makers:
    return {
        "hold": lambda: ("debtor.hold_placed", events.HoldPlaced(**person, reason="hardship")),
        "lift": lambda: ("debtor.hold_lifted", events.HoldLifted(**person, reason="hardship")),
        "revoke": lambda: (
            "debtor.consent_changed",
            events.ConsentChanged(**person, state="revoked", origin="portal"),
        ),
        "grant": lambda: (
            "debtor.consent_changed",
            events.ConsentChanged(**person, state="granted", origin="portal"),
        ),
        "recorded": lambda: (
            "contact.recorded",
            events.ContactRecorded(**person, channel="voice", at=now, outcome="answered"),
        ),
    }


class Witness:
    """Plays a history and keeps what the properties ask about."""

    def __init__(self) -> None:
        self.desk = Desk(BOOK)
        self.desk.now = START
        self.told = 0
        self.desk.state = DebtorState(debtor_id=DEBTOR, tenant_id=TENANT)
        self.sent: list[tuple[datetime, Go, tuple[Any, ...]]] = []
        self.decisions: list[tuple[set[str], Decision]] = []
        self.stages: dict[str, int] = {}
        self.taken: set[tuple[Any, ...]] = set()

    def play(self, history: list[Move]) -> "Witness":
        for move in history:
            self.desk.now += timedelta(hours=move[2])
            if move[0] != "tick":
                self.desk.tell(*event_of(move, self.desk.now, self.told))
            self.told += 1
            self.settle(move[3])
        return self

    def settle(self, chance: int) -> None:
        """Decide and dispatch until nothing is due; check what must hold at every step."""
        for _ in range(4):
            decision = self.desk.decide()
            self.check(decision)
            due = [
                key
                for key, record in self.desk.known.contacts.items()
                if record.state == ContactState.PLANNED
                and (record.due_at is None or record.due_at <= self.desk.now)
            ]
            if not due:
                break
            for key in due:
                self.dispatch(UUID(key), chance)

    def dispatch(self, contact_id: Any, chance: int) -> None:
        desk = self.desk
        record = desk.known.contacts[str(contact_id)]
        answer = desk.gate(contact_id)
        assert answer.reasons
        if isinstance(answer, Defer):
            assert answer.until > desk.now
            deferred(desk.known, contact_id, answer, desk.now)
        elif isinstance(answer, Drop):
            dropped(desk.known, contact_id, answer, desk.now)
        else:
            dispatched(desk.known, contact_id, answer, desk.now)
            fact = ("accepted", "accepted", "accepted", "failed", "unknown")[chance % 5]
            if fact != "failed":
                self.sent.append((desk.now, answer, record.items))
                self.take_slots(record)
            desk.report(contact_id, fact)

    def take_slots(self, record: Any) -> None:
        for item in record.items:
            slot = (item.debt_id, item.episode, item.step_key, record.channel)
            assert slot not in self.taken, "a step was sent twice"
            self.taken.add(slot)

    def check(self, decision: Decision) -> None:
        self.decisions.append((set(self.desk.known.debts), decision))
        for key, debt in self.desk.known.debts.items():
            assert debt.stage >= self.stages.get(key, 0), "a stage fell"
            self.stages[key] = debt.stage
