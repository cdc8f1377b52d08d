"""Decisions of people reach the planner: from the API's transaction to the next contact."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.scheduler import planning
from services.scheduler.policy.ladder import load_ladder
from services.scheduler.work_items import WorkItems
from shared.events.contact import ContactAttempted, Item
from shared.events.envelope import Envelope
from shared.events.states import ContactState
from tests.integration.scheduler.planning_case import MONDAY_NOON, Case, incoming, registered

LADDER = """\
ladder: br-consumer-standard
version: 1
steps:
  - {key: must, offset_days: 1, stage: 1, channels: [sms], templates: {sms: t}, mandatory: true}
  - {key: next, offset_days: 1, stage: 1, channels: [sms], templates: {sms: t}}
"""


async def blocked(case: Case) -> tuple[Any, UUID]:
    """A debtor whose mandatory step ended unknown; return the registration and the work item."""
    case.rules.ladders["br-consumer-standard"] = (1, load_ladder(LADDER))
    case.rules.templates["t"] = next(iter(case.rules.templates.values()))
    debt_id = uuid4()
    event = registered(debt_id=debt_id)
    await case.fold(incoming("debt.registered.v1", event))
    await case.dispatch_at_noon()
    (contact,) = await case.contacts(event.debtor_id)
    for kind in ("contact.unknown.v1", "contact.unknown_final.v1"):
        fact = ContactAttempted(
            contact_id=contact["contact_id"],
            debtor_id=event.debtor_id,
            portfolio_id="loja",
            channel="sms",
            items=(Item(debt_id=debt_id, episode=1, step_key="must", stage=1),),
            at=MONDAY_NOON,
            machine_at=MONDAY_NOON,
            attempt_id=contact["contact_id"],
            n=1,
            provider="twilio",
            account_id="sms",
        )
        await case.fold(incoming(kind, fact, source="regua/sms_sender"))
    return event, await case.pool.fetchval("SELECT work_item_id FROM work_item")


async def decide(case: Case, item: UUID, decision: str) -> planning.Incoming:
    """Decide as the API does; return the fact as the planner reads it from its topic."""
    woken: list[bool] = []
    items = WorkItems(case.pool, wake=lambda: woken.append(True))
    closed = await items.decide(
        tenant_id="acme", work_item_id=item, actor="acme/ana", decision=decision, note=None
    )
    assert (closed.state, woken) == ("closed", [True])
    rows = await case.envelopes("work_item.closed.v1")
    read = planning.read(Envelope.from_record(dict(rows[-1].headers()), rows[-1].data))
    assert read is not None
    return read


@pytest.mark.parametrize(("decision", "step", "k"), [("waive", "next", 1), ("approve", "must", 2)])
async def test_a_decision_moves_the_ladder_on(case: Case, decision: str, step: str, k: int) -> None:
    event, item = await blocked(case)
    fact = await decide(case, item, decision)
    await case.fold(fact, fact)  # redelivered at once, and later
    await case.fold(fact)
    await case.set_law(MONDAY_NOON + timedelta(days=2))
    await case.wake()
    state = await case.state(event.debtor_id)
    planned = [c for c in state.contacts.values() if c.state < ContactState.UNKNOWN_FINAL]
    assert [(contact.step_key, contact.k) for contact in planned] == [(step, k)]
    assert len(await case.contacts(event.debtor_id)) == 2


async def test_what_concerns_no_step_is_passed_over(case: Case) -> None:
    _, item = await blocked(case)
    await case.pool.execute("UPDATE work_item SET step_key = NULL, kind = 'late_evidence'")
    items = WorkItems(case.pool, wake=lambda: None)
    await items.decide(
        tenant_id="acme", work_item_id=item, actor="acme/ana", decision="done", note="seen"
    )
    (envelope,) = await case.envelopes("work_item.closed.v1")
    assert planning.read(envelope) is None
