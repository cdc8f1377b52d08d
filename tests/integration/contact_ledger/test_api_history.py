"""Histories and search over HTTP: what, when, why, in which words; found by what clients know."""

from datetime import datetime, timedelta
from uuid import uuid4

import msgspec
import pytest

from services.contact_ledger.facts import from_event
from services.contact_ledger.holds import Changed, _fact
from shared.events.debt import ContactPoint, DebtorAbsorbed, DebtorFacts, DebtorMerged
from shared.events.hold import Hold, subject_of
from tests.support.ledger import (
    NOW,
    TENANT,
    Debtor,
    an_envelope,
)
from tests.support.ledger_http import TEXTS, Ledger

HOUR = timedelta(hours=1)


async def test_a_history_tells_what_when_why_and_in_which_words(ledger: Ledger) -> None:
    debtor = Debtor()
    contact = debtor.contact()
    sealed = TEXTS.seal("Olá, Ana!", str(contact.contact_id))
    await ledger.write(
        contact.state("contact.delivered", NOW + 3 * HOUR),
        debtor.registered(NOW),
        contact.state("contact.accepted", NOW + 2 * HOUR, text_sealed=sealed),
        contact.state("contact.planned", NOW + HOUR),
        debtor.paid(NOW + 4 * HOUR, 112000),
    )
    found = await ledger.ok(f"/v1/debtors/{debtor.debtor_id}/history")
    lines = found["entries"]
    assert [line["what"] for line in lines] == [
        "debt registered",
        "SMS planned",
        "SMS accepted",
        "SMS delivered",
        "payment received",
    ]
    assert lines[0]["detail"].startswith("1,120.00 BRL; due 2026-03-10")
    assert lines[1]["reasons"] == [
        {"rule": "ladder.step", "version": "1", "verdict": "due", "inputs": {}}
    ]
    assert (lines[2]["text"], lines[2]["state"]) == ("Olá, Ana!", "accepted")
    assert "text_sealed" not in lines[2]["data"]
    assert datetime.fromisoformat(lines[4]["at"]) == NOW + 4 * HOUR
    assert found["next_cursor"] is None


@pytest.mark.parametrize("order", ["oldest", "newest"])
async def test_pages_of_a_history_join_without_gap_or_overlap(ledger: Ledger, order: str) -> None:
    debtor = Debtor()
    # Law time is frozen between ticks: many facts share one instant.
    facts = [debtor.contact().state("contact.planned", NOW + (i // 10) * HOUR) for i in range(45)]
    await ledger.write(*facts)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"cursor": cursor} if cursor else {}
        path = f"/v1/debtors/{debtor.debtor_id}/history"
        page = await ledger.ok(path, limit=7, order=order, **params)
        seen += [line["event_id"] for line in page["entries"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 45


async def test_a_debtor_is_found_by_what_the_client_knows(ledger: Ledger) -> None:
    debtor = Debtor()
    points = (
        ContactPoint(channel="sms", address="+5511912345678"),
        ContactPoint(channel="email", address="Ana.Prado@example.org"),
    )
    facts = DebtorFacts(debtor_ref="C-77", contact_points=points)
    await ledger.write(debtor.registered(debtor=facts, debt_ref="D-99"))
    for wanted in (
        {"debtor_ref": "C-77"},
        {"debt_ref": "D-99"},
        {"phone": "+55 11 91234-5678"},
        {"email": "ana.prado@EXAMPLE.org"},
    ):
        (found,) = (await ledger.search(**wanted))["debtors"]
        assert found["debtor_id"] == str(debtor.debtor_id), wanted
        assert [a["debt_id"] for a in found["accounts"]] == [str(debtor.debt_id)]
    assert (await ledger.search(phone="+5511900000000"))["debtors"] == []


async def test_a_merged_debtor_leads_to_the_one_that_is_left(ledger: Ledger) -> None:
    old, new = Debtor(), Debtor()
    data = new.event(DebtorMerged, NOW + HOUR, merged_debtor_id=old.debtor_id, debt_id=None)
    await ledger.write(old.registered(), new.registered(NOW + HOUR / 2))
    await ledger.write(new.fact("debtor.merged.v1", data, NOW + HOUR))
    (found,) = (await ledger.search(debt_ref=f"D-{old.debt_id}"))["debtors"]
    assert found["debtor_id"] == str(new.debtor_id)
    assert len(found["accounts"]) == 2
    history = await ledger.ok(f"/v1/debtors/{new.debtor_id}/history")
    assert [line["what"] for line in history["entries"]] == [
        "debt registered",
        "debt registered",
        "debtors merged",
    ]


async def test_a_merge_told_to_both_and_its_hand_over_are_entries_that_hide_nothing_of_anybody(
    ledger: Ledger,
) -> None:
    """Each debtor has the merge in its own history; the scheduler's document stays inside."""
    old, new = Debtor(), Debtor()
    merge = new.event(DebtorMerged, NOW + HOUR, merged_debtor_id=old.debtor_id, debt_id=None)
    copy = msgspec.structs.replace(merge, cause_event_id=uuid4())
    taken = new.event(
        DebtorAbsorbed,
        NOW + HOUR,
        merged_debtor_id=old.debtor_id,
        debt_id=None,
        cause_event_id=copy.cause_event_id,
        state=msgspec.Raw(b'{"name":"Maria Segredo"}'),
    )
    told = an_envelope("debtor.merged.v1", merge, at=NOW + HOUR)
    to_old = an_envelope("debtor.merged.v1", copy, at=NOW + HOUR)
    to_old = msgspec.structs.replace(to_old, key=str(old.debtor_id))
    over = an_envelope("debtor.absorbed.v1", taken, at=NOW + 2 * HOUR)
    facts = [
        from_event(envelope, data, NOW)
        for envelope, data in ((told, merge), (to_old, copy), (over, taken))
    ]
    assert [fact.debtor_id for fact in facts] == [new.debtor_id, old.debtor_id, new.debtor_id]
    await ledger.write(*facts, *facts)
    history = await ledger.ok(f"/v1/debtors/{new.debtor_id}/history")
    assert [line["what"] for line in history["entries"]] == [
        "debtors merged",
        "debtors merged",
        "debts of a merged debtor taken over",
    ]
    assert "Segredo" not in msgspec.json.encode(history).decode()


async def test_a_hold_on_a_debt_is_in_its_debtors_history(ledger: Ledger) -> None:
    debtor = Debtor()
    hold = Hold(
        hold_id=uuid4(),
        tenant_id=TENANT,
        scope="debt",
        subject=subject_of("debt", TENANT, str(debtor.debt_id)),
        reason="dispute",
        version=1,
        state="active",
        placed_at=NOW,
    )
    envelope = an_envelope("hold.changed.v1", hold, at=NOW + HOUR)
    await ledger.write(_fact(Changed(hold=hold, envelope=envelope, published=NOW), {}))
    await ledger.write(debtor.registered())
    lines = (await ledger.ok(f"/v1/debtors/{debtor.debtor_id}/history"))["entries"]
    assert [(line["what"], line.get("detail")) for line in lines][1] == ("hold", "dispute active")


async def test_an_erased_debtors_history_keeps_its_shape(ledger: Ledger) -> None:
    debtor = Debtor()
    await ledger.write(debtor.registered(), debtor.contact().state("contact.planned", NOW + HOUR))
    await ledger.pool.execute("UPDATE debtor_key SET wrapped = NULL")
    lines = (await ledger.ok(f"/v1/debtors/{debtor.debtor_id}/history"))["entries"]
    assert [(line["what"], line["erased"]) for line in lines] == [
        ("debt registered", True),
        ("SMS planned", True),
    ]
    assert not any("data" in line for line in lines)
