"""Receipts move an attempt forward only, whatever order they come in."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import uuid4

import pytest

from shared.events.states import ContactState
from shared.sender.attempts import Attempt, Frame, State
from shared.sender.provider import StatusReceipt
from shared.sender.reports import apply
from shared.sender.store.receipts import StoredAttempt

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
WAY = (
    ContactState.ACCEPTED,
    ContactState.SENT,
    ContactState.UNDELIVERED,
    ContactState.DELIVERED,
    ContactState.READ,
)


def stored(state: State = State.ACCEPTED) -> StoredAttempt:
    attempt = Attempt(
        attempt_id=uuid4(),
        contact_id=uuid4(),
        n=1,
        ends_on=NOW.date(),
        debtor_id=uuid4(),
        tenant_id="acme",
        account_id="a",
        provider="twilio",
        frame=Frame(portfolio_id="p", channel="sms", step_key="s", stage=1, template="t", items=()),
        not_after=NOW,
    )
    return StoredAttempt(
        attempt=attempt,
        state=state,
        outcome_at=NOW,
        outcome_law=NOW,
        provider_ref="SM1" if state is State.ACCEPTED else None,
        code=None,
        error=None,
        retryable=False,
        reported=0,
        owner=uuid4(),
        address_digest="d",
    )


def receipt(state: ContactState | None) -> StatusReceipt:
    return StatusReceipt(provider_ref="SM1", provider_word="w", state=state)


@pytest.mark.parametrize("order", list(permutations(WAY)))
def test_any_order_ends_in_the_same_state(order: tuple[ContactState, ...]) -> None:
    attempt = stored()
    reached: list[int] = []
    for state in order:
        effect = apply(attempt, receipt(state), NOW, NOW)
        assert effect.late == (effect.report is not None and attempt.reported > effect.report)
        reached.append(attempt.reported)
    assert reached == sorted(reached)
    assert attempt.reported == ContactState.READ


def test_the_same_report_twice_says_nothing_new() -> None:
    attempt = stored()
    assert apply(attempt, receipt(ContactState.SENT), NOW, NOW).mark == "applied"
    again = apply(attempt, receipt(ContactState.SENT), NOW, NOW)
    assert (again.report, again.mark) == (None, "repeated")


@pytest.mark.parametrize("state", [State.UNKNOWN, State.UNKNOWN_FINAL, State.CLAIMED])
@pytest.mark.parametrize("reported", [ContactState.ACCEPTED, ContactState.UNDELIVERED, None])
def test_any_report_proves_acceptance(state: State, reported: ContactState | None) -> None:
    attempt = stored(state)
    later = NOW + timedelta(hours=1)
    effect = apply(attempt, receipt(reported), later, later)
    assert effect.accepted
    assert not effect.contradicts
    assert (attempt.state, attempt.outcome_law) == (State.ACCEPTED, later)
    assert attempt.provider_ref == "SM1"


@pytest.mark.parametrize("state", [State.REFUSED, State.CANCELLED, State.EXPIRED, State.INVALID])
def test_evidence_against_a_certain_record_wins_and_raises_the_alarm(state: State) -> None:
    attempt = stored(state)
    effect = apply(attempt, receipt(ContactState.DELIVERED), NOW, NOW)
    assert effect.accepted
    assert effect.contradicts
    assert attempt.state == State.ACCEPTED
