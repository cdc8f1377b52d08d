"""Folding facts: whatever the order, states only rise and the earliest moments stand."""

import itertools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contact_ledger.changes import RECORDED, ContactChange
from services.contact_ledger.facts import Fact
from services.contact_ledger.projections import fold
from shared.events.contact import Item
from shared.events.debt import ContactRecorded, PromiseCancelled
from shared.events.states import STATE_AFTER, ContactState, rank
from tests.support.ledger import NOW, Debtor

HOUR = timedelta(hours=1)
MOVING = sorted(STATE_AFTER)


def only_contact(facts: Sequence[Fact]) -> ContactChange:
    (change,) = fold(facts).contacts.values()
    return change


def a_life() -> list[Fact]:
    contact = Debtor().contact()
    steps = ("planned", "dispatched", "accepted", "sent", "delivered", "read", "replied")
    return [contact.state(f"contact.{step}", NOW + i * HOUR) for i, step in enumerate(steps)]


def test_any_order_of_a_life_ends_the_same() -> None:
    life = a_life()
    expected = only_contact(life)
    assert expected.state == ContactState.READ
    for order in itertools.islice(itertools.permutations(life), 0, None, 97):
        assert only_contact(order) == expected


def test_moments_are_those_of_the_earliest_evidence() -> None:
    change = only_contact(a_life())
    assert change.planned_at == NOW
    assert change.dispatched_at == NOW + HOUR
    assert change.accepted_at == NOW + 2 * HOUR
    assert change.sent_at == NOW + 3 * HOUR
    assert change.delivered_at == NOW + 4 * HOUR
    assert change.right_party_at == NOW + 6 * HOUR


@given(st.lists(st.sampled_from(MOVING), min_size=1, max_size=12))
def test_a_state_never_falls(types: list[str]) -> None:
    contact = Debtor().contact()
    facts = [contact.state(name.removesuffix(".v1")) for name in types]
    highest = -1
    for length in range(1, len(facts) + 1):
        state = only_contact(facts[:length]).state
        assert state is not None
        assert rank(ContactState(state)) >= highest
        highest = rank(ContactState(state))
    assert highest == max(rank(STATE_AFTER[name]) for name in types)


@pytest.mark.parametrize("first", ["withheld", "cancelled", "expired", "failed"])
@pytest.mark.parametrize("second", ["withheld", "cancelled", "expired", "failed"])
def test_of_equal_ranks_the_first_recorded_stays(first: str, second: str) -> None:
    contact = Debtor().contact()
    facts = [contact.state(f"contact.{first}"), contact.state(f"contact.{second}")]
    assert only_contact(facts).state == ContactState[first.upper()]


def test_a_reply_alone_implies_acceptance_and_delivery() -> None:
    change = only_contact([Debtor().contact().state("contact.replied")])
    assert change.state == ContactState.DELIVERED
    assert change.accepted_at == change.delivered_at == change.right_party_at == NOW


def test_a_wrong_person_is_reached_but_not_the_right_party() -> None:
    change = only_contact([Debtor().contact().state("contact.replied", intent="wrong_person")])
    assert change.delivered_at == NOW
    assert change.right_party_at is None


def test_a_deferral_alone_plans_nothing() -> None:
    change = only_contact([Debtor().contact().state("contact.deferred")])
    assert (change.state, change.planned_at) == (None, None)


def test_the_last_day_decided_is_the_contacts_day() -> None:
    contact = Debtor().contact()
    change = only_contact(
        [
            contact.state("contact.dispatched", local_date=NOW.date() + timedelta(days=1)),
            contact.state("contact.planned", local_date=NOW.date()),
        ]
    )
    assert change.local_day == NOW.date() + timedelta(days=1)


def test_two_accepted_attempts_are_two() -> None:
    contact = Debtor().contact()
    first = contact.state("contact.accepted")
    contact.attempt_id = uuid4()
    change = only_contact([first, contact.state("contact.delivered"), first])
    assert len(change.accepted_ids) == 2


@pytest.mark.parametrize(
    ("outcome", "state", "right_party"),
    [
        ("answered", ContactState.DELIVERED, False),
        ("right_party", ContactState.DELIVERED, True),
        ("promise", ContactState.DELIVERED, True),
        ("wrong_person", ContactState.DELIVERED, False),
        ("no_answer", ContactState.UNDELIVERED, False),
    ],
)
def test_what_people_report_is_a_contact_of_its_own(
    outcome: str, state: ContactState, *, right_party: bool
) -> None:
    debtor = Debtor()
    event = debtor.event(ContactRecorded, NOW, channel="voice", at=NOW, outcome=outcome)
    fact = debtor.fact("contact.recorded.v1", event, NOW)
    change = only_contact([fact])
    assert (change.contact_id, change.origin, change.state) == (fact.event_id, RECORDED, state)
    assert (change.right_party_at is not None) is right_party


def test_a_promise_by_reply_about_several_debts_means_their_balance() -> None:
    debtor = Debtor()
    contact = debtor.contact()
    other = Item(debt_id=uuid4(), episode=1, step_key="reminder", stage=1)
    said: dict[str, Any] = {"intent": "promise", "promise_amount": 5000, "promise_date": NOW.date()}
    (alone,) = fold([contact.state("contact.replied", **said)]).promises.values()
    contact.items = (*contact.items, other)
    (both,) = fold([contact.state("contact.replied", **said)]).promises.values()
    assert (alone.amount, alone.debt_ids) == (5000, [debtor.debt_id])
    assert (both.amount, both.debt_ids) == (None, [debtor.debt_id, other.debt_id])


def test_an_unsure_promise_is_no_promise() -> None:
    said: dict[str, Any] = {"intent": "promise", "promise_date": NOW.date(), "confident": False}
    assert fold([Debtor().contact().state("contact.replied", **said)]).promises == {}


def test_a_withdrawal_of_all_promises_is_kept_with_the_account() -> None:
    debtor = Debtor()
    facts = [
        debtor.fact("debt.promise_cancelled.v1", debtor.event(PromiseCancelled, at), at)
        for at in (NOW + HOUR, NOW)
    ]
    (account,) = fold(facts).accounts.values()
    assert account.promises_withdrawn_at == NOW + HOUR
