"""Projections by SQL: the same row whatever the order and the batches, and alarms raised once."""

import random
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from services.contact_ledger.facts import Fact
from services.contact_ledger.store import alarms
from shared.events.contact import ContactReply
from shared.events.debt import DebtorMerged, PaymentReversed
from shared.events.states import STATE_AFTER, ContactState
from shared.postgres import Pool
from tests.support.ledger import NOW, TENANT, Contact, Debtor, a_writer, write

HOUR = timedelta(hours=1)
LIFE = ("planned", "deferred", "dispatched", "unknown", "accepted", "sent", "delivered", "read")


def a_life(contact: Contact) -> list[Fact]:
    return [contact.state(f"contact.{step}", NOW + i * HOUR) for i, step in enumerate(LIFE)]


async def row_of(pool: Pool, contact: Contact) -> dict[str, Any]:
    row = await pool.fetchrow("SELECT * FROM contact WHERE contact_id = $1", contact.contact_id)
    assert row is not None
    return dict(row.items())


@pytest.mark.parametrize("seed", range(5))
async def test_a_contact_is_the_same_whatever_the_order_and_the_batches(
    pool: Pool, seed: int
) -> None:
    writer = a_writer()
    debtor = Debtor()
    contact = debtor.contact()
    life = a_life(contact)
    await write(pool, writer, life)
    expected = await row_of(pool, contact)
    assert expected["state"] == ContactState.READ
    twin = debtor.contact()
    twin.attempt_id = contact.attempt_id
    shuffled = a_life(twin)
    random.Random(seed).shuffle(shuffled)  # noqa: S311 - a seeded test
    size = 1 + seed
    for start in range(0, len(shuffled), size):
        await write(pool, writer, shuffled[start : start + size])
    assert await row_of(pool, twin) | {"contact_id": contact.contact_id} == expected


@pytest.mark.parametrize("late", sorted(STATE_AFTER))
async def test_a_late_status_is_recorded_and_never_applied_backwards(pool: Pool, late: str) -> None:
    writer = a_writer()
    contact = Debtor().contact()
    await write(pool, writer, [contact.state("contact.read")])
    await write(pool, writer, [contact.state(late.removesuffix(".v1"), NOW + HOUR)])
    assert (await row_of(pool, contact))["state"] == ContactState.READ
    assert await pool.fetchval("SELECT count(*) FROM entry") == 2


async def test_of_equal_ranks_the_first_recorded_stays(pool: Pool) -> None:
    writer = a_writer()
    contact = Debtor().contact()
    for outcome in ("expired", "failed", "withheld", "cancelled"):
        await write(pool, writer, [contact.state(f"contact.{outcome}")])
    assert (await row_of(pool, contact))["state"] == ContactState.EXPIRED


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("together", [True, False])
async def test_delivery_after_a_certain_non_send_rises_and_raises_an_alarm(
    pool: Pool, order: tuple[int, int], *, together: bool
) -> None:
    writer = a_writer()
    contact = Debtor().contact()
    facts = [contact.state("contact.failed"), contact.state("contact.delivered", NOW + HOUR)]
    facts = [facts[i] for i in order]
    batches = [facts] if together else [[fact] for fact in facts]
    written = [await write(pool, writer, batch) for batch in batches]
    assert (await row_of(pool, contact))["state"] == ContactState.DELIVERED
    assert [alarm.kind for each in written for alarm in each.alarms] == ["accepted_after_non_send"]
    again = await write(pool, writer, [contact.state("contact.read")])
    assert again.alarms == []
    async with pool.acquire() as conn:
        found = await alarms.newest(conn, TENANT)
    assert [(a.contact_id, a.kind) for a in found] == [
        (contact.contact_id, "accepted_after_non_send")
    ]


async def test_a_second_accepted_attempt_raises_an_alarm(pool: Pool) -> None:
    writer = a_writer()
    contact = Debtor().contact()
    await write(pool, writer, [contact.state("contact.accepted")])
    contact.attempt_id = uuid4()
    refused = await write(pool, writer, [contact.state("contact.attempt_refused")])
    twice = await write(pool, writer, [contact.state("contact.sent")])
    assert refused.alarms == []
    assert [alarm.kind for alarm in twice.alarms] == ["accepted_twice"]
    row = await row_of(pool, contact)
    assert (len(row["attempt_ids"]), len(row["accepted_ids"])) == (2, 2)


async def test_a_payment_may_be_reversed_before_it_is_known(pool: Pool) -> None:
    writer = a_writer()
    debtor = Debtor()
    paid = debtor.paid(NOW, 5000)
    data = debtor.event(
        PaymentReversed, NOW + HOUR, payment_event_id=paid.event_id, reversed_at=NOW + HOUR
    )
    await write(pool, writer, [debtor.fact("debt.payment_reversed.v1", data, NOW + HOUR)])
    await write(pool, writer, [paid])
    row = await pool.fetchrow("SELECT amount, reversed_at FROM payment")
    assert row is not None
    assert tuple(row) == (5000, NOW + HOUR)


async def test_one_reply_is_one_row_for_both_its_facts(pool: Pool) -> None:
    contact = Debtor().contact()
    reply = contact.state("contact.replied", intent="opt_out")
    assert isinstance(reply.data, ContactReply)
    out = contact.state("contact.opted_out", intent="opt_out", reply_id=reply.data.reply_id)
    writer = a_writer()
    await write(pool, writer, [reply])
    await write(pool, writer, [out])
    rows = await pool.fetch("SELECT intent, opted_out FROM reply")
    assert [tuple(row) for row in rows] == [("opt_out", True)]


async def test_a_merged_debtors_accounts_move(pool: Pool) -> None:
    writer = a_writer()
    old, new = Debtor(), Debtor()
    await write(pool, writer, [old.registered(), new.registered()])
    data = new.event(DebtorMerged, NOW, merged_debtor_id=old.debtor_id, debt_id=None)
    await write(pool, writer, [new.fact("debtor.merged.v1", data, NOW)])
    owners = await pool.fetch("SELECT DISTINCT debtor_id FROM account")
    assert [row["debtor_id"] for row in owners] == [new.debtor_id]
