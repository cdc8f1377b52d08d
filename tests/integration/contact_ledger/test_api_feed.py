"""The feed over HTTP: no late commit is skipped, nothing comes twice."""

import asyncio

from tests.support.ledger import (
    NOW,
    Debtor,
)
from tests.support.ledger_http import Ledger


async def test_the_feed_skips_no_late_commit_and_repeats_nothing(ledger: Ledger) -> None:
    debtor = Debtor()
    first, late, second = (debtor.contact().state("contact.planned") for _ in range(3))
    await ledger.write(first)
    async with ledger.pool.acquire() as conn, conn.transaction():
        await ledger.writer.write(conn, [late])
        await ledger.write(second)  # commits first, but its transaction began later
        during = await ledger.ok("/v1/events")
    after = await ledger.ok("/v1/events", after=during["cursor"])
    assert [event["id"] for event in during["events"]] == [str(first.event_id)]
    assert [event["id"] for event in after["events"]] == [str(late.event_id), str(second.event_id)]
    assert (await ledger.ok("/v1/events", after=after["cursor"]))["events"] == []


async def test_the_feed_is_cloud_events_of_the_types_asked_for(ledger: Ledger) -> None:
    debtor = Debtor()
    contact = debtor.contact()
    await ledger.write(debtor.registered(), contact.state("contact.delivered"))
    found = await ledger.ok("/v1/events", type=["contact.delivered.v1"])
    (event,) = found["events"]
    assert event["specversion"] == "1.0"
    assert (event["type"], event["subject"]) == ("contact.delivered.v1", str(debtor.debtor_id))
    assert event["data"]["contact_id"] == str(contact.contact_id)


async def test_a_restored_dump_keeps_its_old_entries_in_the_feed(ledger: Ledger) -> None:
    debtor = Debtor()
    old = debtor.contact().state("contact.planned")
    await ledger.write(old)
    # Entries of another cluster, whose transaction ids were far ahead of this one's.
    await ledger.pool.execute("UPDATE generation SET system_identifier = 1")
    new = debtor.contact().state("contact.planned")
    await ledger.write(new)
    found = await ledger.ok("/v1/events")
    assert [event["id"] for event in found["events"]] == [str(old.event_id), str(new.event_id)]
    assert await ledger.pool.fetchval("SELECT number FROM generation") == 2


async def test_reading_goes_on_while_facts_arrive(ledger: Ledger) -> None:
    debtors = [Debtor() for _ in range(40)]
    seen: list[str] = []

    async def follow() -> None:
        cursor = ""
        while len(seen) < 200:
            page = await ledger.ok("/v1/events", limit=17, **({"after": cursor} if cursor else {}))
            seen.extend(event["id"] for event in page["events"])
            cursor = page["cursor"]

    async def arrive() -> None:
        for debtor in debtors:
            await asyncio.gather(
                ledger.write(debtor.registered(), debtor.paid(NOW, 1)),
                ledger.write(*(debtor.contact().state("contact.planned") for _ in range(3))),
            )

    async with asyncio.timeout(60):
        await asyncio.gather(follow(), arrive())
    assert len(seen) == len(set(seen)) == 200
