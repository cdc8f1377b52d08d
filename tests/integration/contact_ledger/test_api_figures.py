"""Contacts, balance and KPIs over HTTP: whole exports, days that add up."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.ledger import (
    NOW,
    PORTFOLIO,
    Debtor,
)
from tests.support.ledger_http import Ledger

HOUR = timedelta(hours=1)


async def test_contacts_are_found_by_portfolio_outcome_and_days(ledger: Ledger) -> None:
    debtor = Debtor()
    sent, withheld = debtor.contact(), debtor.contact(channel="email")
    await ledger.write(
        sent.state("contact.planned"),
        sent.state("contact.delivered"),
        withheld.state("contact.withheld", NOW + timedelta(days=2)),
        Debtor(portfolio="other").contact().state("contact.delivered"),
    )
    day = NOW.date().isoformat()
    found = await ledger.search(portfolio=PORTFOLIO, outcome="sent", **{"from": day, "to": day})
    assert [c["contact_id"] for c in found["contacts"]] == [str(sent.contact_id)]
    found = await ledger.search(outcome="withheld")
    assert [c["balance_class"] for c in found["contacts"]] == ["withheld"]
    (one,) = (await ledger.search(contact_id=str(sent.contact_id)))["contacts"]
    assert one["items"][0]["step_key"] == "reminder"
    assert (one["state"], one["accepted"], one["attempt_ids"]) == (
        "delivered",
        1,
        [str(sent.attempt_id)],
    )
    listed = await ledger.ok("/v1/contacts", debtor_id=str(debtor.debtor_id), channel="email")
    assert [c["contact_id"] for c in listed["contacts"]] == [str(withheld.contact_id)]


@pytest.mark.parametrize("by_day", [False, True])
async def test_the_export_of_contacts_is_whole(ledger: Ledger, by_day: object) -> None:
    debtor = Debtor()
    await ledger.write(
        *(debtor.contact().state("contact.planned", NOW + i * HOUR) for i in range(23))
    )
    params: dict[str, Any] = {"limit": 5} | ({"from": "2026-03-01"} if by_day else {})
    seen: set[str] = set()
    pages = 0
    cursor = ""
    while pages < 10:
        page = await ledger.ok("/v1/contacts", **params, **({"cursor": cursor} if cursor else {}))
        seen |= {contact["contact_id"] for contact in page["contacts"]}
        pages += 1
        cursor = page["next_cursor"] or ""
        if not cursor:
            break
    assert (len(seen), pages) == (23, 5)


async def test_the_balance_of_a_day_adds_up(ledger: Ledger) -> None:
    debtor = Debtor()
    outcomes = ("planned", "dispatched", "withheld", "cancelled", "expired", "failed", "accepted")
    contacts = [debtor.contact() for _ in outcomes]
    await ledger.write(*(contact.state("contact.planned") for contact in contacts))
    await ledger.write(
        *(c.state(f"contact.{name}") for c, name in zip(contacts, outcomes, strict=True))
    )
    found = await ledger.ok("/v1/balance")
    assert found["days"] == [
        {
            "day": "2026-03-10",
            "planned": 7,
            "withheld": 1,
            "cancelled": 1,
            "expired": 1,
            "failed": 1,
            "unknown": 0,
            "sent": 1,
            "open": 2,
            "balanced": True,
        }
    ]
    await ledger.write(debtor.contact().state("contact.sent"))  # nobody planned it
    found = await ledger.ok("/v1/balance")
    assert found["totals"]["balanced"] is False
    assert found["days"][-1]["day"] is None


async def test_kpis_over_http(ledger: Ledger) -> None:
    debtor = Debtor()
    contact = debtor.contact()
    await ledger.write(
        debtor.registered(),
        *(contact.state(f"contact.{name}") for name in ("planned", "accepted", "replied")),
        debtor.promised(NOW, NOW.date(), 5000),
        debtor.paid(NOW, 5000),
    )
    found = await ledger.ok(
        "/v1/kpis", **{"from": "2026-03-01", "to": "2026-04-01", "portfolio": PORTFOLIO}
    )
    assert found["kpis"] == {
        "penetration": 1.0,
        "intensity": 1.0,
        "rpc": 1.0,
        "ptp": 1.0,
        "kp_of_promises": 1.0,
        "kp_of_due": 1.0,
    }
    assert found["from"] == "2026-03-01T00:00:00-03:00"  # midnight in São Paulo
    assert found["channels"] == {"sms": {"delivered": 1}}
    assert found["payments"] == {"BRL": {"count": 1, "amount": 5000}}
    assert found["promises"] == {"made": 1, "due": 1, "kept": 1, "broken": 0}
    empty = await ledger.ok("/v1/kpis", **{"from": "2020-01-01", "to": "2020-02-01"})
    assert set(empty["kpis"].values()) == {None}
