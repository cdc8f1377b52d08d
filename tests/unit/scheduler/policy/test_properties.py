"""What must hold over random histories: the promises of the policy, one property each.

A history is a list of events and of things that happen to contacts, on a clock that only moves
forward. After every step the policy decides; what passes the gate is dispatched and accepted,
failed or left unknown as the history says.
"""

import copy as copying
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.scheduler.policy.decision import Decision, Defer, Drop, Go
from services.scheduler.policy.explain import explain
from services.scheduler.policy.progress import deferred, dispatched, dropped
from services.scheduler.policy.state import DebtorState, decode, encode
from shared.events import debt as events
from shared.events.states import STATES, ContactState
from tests.unit.scheduler.policy.builders import (
    DEBTOR,
    TENANT,
    Desk,
    address_subject,
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
    return st.lists(
        st.tuples(
            st.sampled_from(kinds),
            st.sampled_from(DEBTS),
            st.integers(0, 60),
            st.integers(0, 1_000_000),
        ),
        min_size=3,
        max_size=25,
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
HISTORY = moves("register", "tick", "tick", "tick", *EVENT_KINDS)
GENTLE = moves("register", "register", "tick", "tick", "tick", "pay", "promise", "update", "reage")


def event_of(move: Move, now: datetime, number: int) -> tuple[str, Any, Any]:
    """Make the event of a move: its type, itself, its id."""
    kind, name, _, size = move
    base: dict[str, Any] = {
        "debtor_id": DEBTOR,
        "debt_id": uid(name),
        "portfolio_id": "br",
        "occurred_at": now,
        "recorded_at": now,
    }
    person = {key: base[key] for key in ("debtor_id", "occurred_at", "recorded_at")}
    day = now.date() + timedelta(days=size % 20)
    makers: dict[str, Callable[[], tuple[str, Any]]] = {
        "register": lambda: (
            "debt.registered",
            registered(
                name,
                occurred_at=now,
                due_date=date(2026, 10, 1) + timedelta(days=size % 40 - 20),
                contact_points=(point(), point("+5511912345678")),
            ),
        ),
        "update": lambda: ("debt.updated", events.DebtUpdated(**base, interest=size)),
        "reage": lambda: ("debt.updated", events.DebtUpdated(**base, due_date=day)),
        "pay": lambda: (
            "debt.payment_received",
            events.PaymentReceived(**base, amount=size % 150_000, currency="BRL", paid_at=now),
        ),
        "reverse": lambda: (
            "debt.payment_reversed",
            events.PaymentReversed(
                **base, payment_event_id=uid(f"event {max(number - 2, 0)}"), reversed_at=now
            ),
        ),
        "cancel": lambda: ("debt.cancelled", events.DebtCancelled(**base)),
        "dispute": lambda: ("debt.disputed", events.DebtDisputed(**base)),
        "resolve": lambda: (
            "debt.dispute_resolved",
            events.DisputeResolved(**base, outcome="upheld"),
        ),
        "promise": lambda: (
            "debt.promise_made",
            events.PromiseMade(**base, amount=size % 90_000 + 1, currency="BRL", due_date=day),
        ),
        "agree": lambda: (
            "debt.agreement_made",
            events.AgreementMade(
                **base,
                currency="BRL",
                instalments=(events.Instalment(amount=size + 1, due_date=day),),
            ),
        ),
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
    event_type, event = makers[kind]()
    return event_type, event, uid(f"event {number}")


class Witness:
    """Plays a history and keeps what the properties ask about."""

    def __init__(self) -> None:
        self.desk = Desk(BOOK)
        self.desk.now = START
        self.desk.state = DebtorState(debtor_id=DEBTOR, tenant_id=TENANT)
        self.sent: list[tuple[datetime, Go, tuple[Any, ...]]] = []
        self.decisions: list[tuple[set[str], Decision]] = []
        self.stages: dict[str, int] = {}
        self.taken: set[tuple[Any, ...]] = set()

    def play(self, history: list[Move]) -> "Witness":
        for number, move in enumerate(history):
            self.desk.now += timedelta(hours=move[2])
            if move[0] != "tick":
                self.desk.tell(*event_of(move, self.desk.now, number))
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
                self.dispatch(uid_of(key), chance)

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


def uid_of(key: str) -> Any:
    from uuid import UUID  # noqa: PLC0415

    return UUID(key)


@EXAMPLES
@given(HISTORY)
def test_no_step_is_sent_twice_and_no_stage_falls(history: list[Move]) -> None:
    Witness().play(history)


@EXAMPLES
@given(GENTLE)
def test_nothing_is_sent_outside_the_window(history: list[Move]) -> None:
    for now, go, _ in Witness().play(history).sent:
        local = now.astimezone(SAO_PAULO)
        close = 14 if local.weekday() == 5 else 20
        assert local.weekday() != 6
        assert 8 <= local.hour < close
        assert go.not_before <= now < go.not_after
        assert go.not_after.astimezone(SAO_PAULO).date() == local.date()
        assert go.not_after.astimezone(SAO_PAULO).hour == close


@EXAMPLES
@given(GENTLE)
def test_caps_are_never_exceeded(history: list[Move]) -> None:
    days = [now.astimezone(SAO_PAULO).date() for now, _, _ in Witness().play(history).sent]
    for day in days:
        assert days.count(day) == 1
        week = [other for other in days if day - timedelta(days=6) <= other <= day]
        assert len(week) <= 3


@EXAMPLES
@given(HISTORY, st.sampled_from(["cancel", "dispute", "hold", "revoke"]))
def test_nothing_is_sent_after_a_stop_fact(history: list[Move], stop: str) -> None:
    calm = [move for move in history if move[0] not in ("lift", "grant", "resolve", "register")]
    witness = Witness().play([("register", "d1", 0, 15), *calm])
    before = len(witness.sent)
    witness.play([(stop, "d1", 1, 0), *(("tick", "d1", 24, 0) for _ in range(12))])
    later = [items for _, _, items in witness.sent[before:]]
    if stop in ("hold", "revoke"):
        assert later == []
    assert all(item.debt_id != uid("d1") for items in later for item in items)


@EXAMPLES
@given(HISTORY)
def test_every_decision_has_reasons(history: list[Move]) -> None:
    for debts, decision in Witness().play(history).decisions:
        assert set(decision.per_debt) == debts
        assert all(verdict.reasons for verdict in decision.per_debt.values())
        assert all(plan.reasons for plan in (*decision.contacts, *decision.withheld))
        assert all(reasons for _, reasons in decision.cancel)


@EXAMPLES
@given(moves(*EVENT_KINDS), st.randoms(use_true_random=False))
def test_the_decision_does_not_depend_on_the_order_in_a_batch(
    history: list[Move], shuffle: Any
) -> None:
    now, told = START, []
    for number, move in enumerate(history):
        now += timedelta(hours=move[2])
        told.append(event_of(move, now, number))
    mixed = list(told)
    shuffle.shuffle(mixed)
    decisions = []
    for batch in (told, mixed, [*mixed, *told]):
        desk = Desk(BOOK)
        for event_type, event, event_id in batch:
            desk.tell(event_type, event, event_id)
        desk.now = now
        decision = desk.decide()
        decisions.append((decision.per_debt, decision.contacts, decision.wake_at))
    assert decisions[0] == decisions[1]
    assert decisions[0] == decisions[2]


@EXAMPLES
@given(HISTORY)
def test_folding_a_history_again_changes_nothing(history: list[Move]) -> None:
    witness = Witness().play(history)
    before = encode(witness.desk.known)
    now = START
    for number, move in enumerate(history):
        now += timedelta(hours=move[2])
        if move[0] != "tick":
            witness.desk.tell(*event_of(move, now, number))
    assert encode(witness.desk.known) == before


@EXAMPLES
@given(HISTORY)
def test_the_state_survives_being_stored(history: list[Move]) -> None:
    state = Witness().play(history).desk.known
    assert decode(encode(state)) == state
    assert all(STATES[ContactState(record.state)] for record in state.contacts.values())


@EXAMPLES
@given(HISTORY)
def test_explain_says_what_plan_and_gate_do(history: list[Move]) -> None:
    desk = Witness().play(history).desk
    told = explain(desk.known, desk.book, [], desk.now, address_subject)
    trial = copying.copy(desk)
    trial.state = decode(encode(desk.known))
    decision = trial.decide()
    assert {d.debt_id: d.verdict for d in told.debts} == {
        key: verdict.kind.value for key, verdict in decision.per_debt.items()
    }
    assert told.wake_at == decision.wake_at
    for contact in told.contacts:
        if contact.gate == "go":
            assert isinstance(trial.gate(uid_of(contact.contact_id)), Go)


@EXAMPLES
@given(GENTLE)
def test_a_waiting_debtor_wakes_when_something_may_change(history: list[Move]) -> None:
    """Between now and `wake_at` the answer stays the same: nothing is slept through."""
    desk = Witness().play(history).desk
    decision = desk.decide()
    wake = decision.wake_at
    if wake is None or decision.contacts or wake <= desk.now:
        return
    planned = any(r.state == ContactState.PLANNED for r in desk.known.contacts.values())
    if planned:
        return
    trial = copying.copy(desk)
    trial.state = decode(encode(desk.known))
    trial.now = wake - timedelta(seconds=1)
    assert all(plan.due_at >= wake for plan in trial.decide().contacts)
