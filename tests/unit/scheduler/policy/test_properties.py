"""What must hold over random histories: the promises of the policy, one property each."""

import copy as copying
from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.scheduler.policy.decision import Go
from services.scheduler.policy.explain import explain
from services.scheduler.policy.state import decode, encode
from shared.events.states import STATES, ContactState
from tests.unit.scheduler.policy.builders import (
    Desk,
    address_subject,
    uid,
)
from tests.unit.scheduler.policy.histories import (
    BOOK,
    EVENT_KINDS,
    EXAMPLES,
    GENTLE,
    HISTORY,
    SAO_PAULO,
    START,
    Move,
    Witness,
    event_of,
    moves,
)


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
    calm = [move for move in history if move[0] not in ("lift", "grant", "resolve")]
    witness = Witness().play(calm)
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
            assert isinstance(trial.gate(UUID(contact.contact_id)), Go)


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
