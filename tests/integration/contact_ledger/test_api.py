"""The ledger over HTTP: whole histories, nothing of other tenants, cursors that do not lie."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from services.contact_ledger import api, cursors
from services.contact_ledger.api.reading import Reading
from services.contact_ledger.holds import Changed, _fact
from services.contact_ledger.opening import Opener
from services.contact_ledger.sealing import KeyCache, KeyWrap
from services.contact_ledger.settings import LedgerSettings
from services.contact_ledger.writer import Writer, open_batch
from shared.directory import Directory
from shared.events.configuration import ApiKey, ConfigEntry, Portfolio
from shared.events.debt import ContactPoint, DebtorFacts, DebtorMerged
from shared.events.hold import Hold, subject_of
from shared.http.auth import digest_of
from shared.http.client import open_client
from shared.http.server import HttpServer, Progress, create_app
from shared.postgres import Pool
from shared.privacy import Keyring, Sealer
from tests.support.ledger import (
    LOOKUP_KEYS,
    NOW,
    PORTFOLIO,
    TENANT,
    Debtor,
    an_envelope,
    write,
)


class BeyondAnyMark(msgspec.Struct):
    """A well-formed mark with numbers that no column holds."""

    generation: int
    xid: int
    ordinal: int


KEK = os.urandom(32)
TEXTS = Sealer(os.urandom(32))
HOUR = timedelta(hours=1)
HUGE = cursors.write(BeyondAnyMark(generation=2**40, xid=2**63, ordinal=1))


class Ledger:
    """A ledger's HTTP with one key per tenant, and a writer into the same database."""

    def __init__(self, pool: Pool, url: str) -> None:
        self.pool = pool
        wrap, cache, ring = KeyWrap(KEK), KeyCache(), Keyring.parse(LOOKUP_KEYS)
        self.writer = Writer(wrap=wrap, keyring=ring, cache=cache)
        directory = Directory()
        directory.apply(
            [_key(TENANT), _key("other"), _key("*"), _key("blind", scopes=("operator",))]
        )
        directory.apply([_portfolio()])
        reading = Reading(
            # A cache of its own: what readers know came through the database.
            opener=Opener(wrap=wrap, cache=KeyCache(), texts=TEXTS),
            keyring=ring,
            directory=directory,
        )
        reading.attach(pool)
        settings = LedgerSettings(
            mode="sandbox",
            http_port=0,
            kafka_bootstrap="nowhere:1",
            postgres_url=url,
            ledger_kek="example-kek",
            lookup_key="example-lookup",
            text_key="example-text",
        )

        async def progress() -> Progress:
            return Progress(counters={}, pending={})

        self.app = create_app(
            service="contact_ledger",
            settings=settings,
            auth=directory,
            routers=api.routers(reading),
            readiness=lambda: {"ready": True},
            progress=progress,
        )
        self.settings = settings
        self.client = open_client()

    async def get(self, path: str, tenant: str = TENANT, **params: Any) -> httpx.Response:
        return await self.client.get(path, params=params, headers=_headers(tenant))

    async def ok(self, path: str, tenant: str = TENANT, **params: Any) -> Any:
        answer = await self.get(path, tenant, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def search(self, tenant: str = TENANT, **wanted: Any) -> Any:
        answer = await self.client.post("/v1/search", json=wanted, headers=_headers(tenant))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def write(self, *facts: Any) -> None:
        await write(self.pool, self.writer, facts)


def _headers(tenant: str) -> dict[str, str]:
    return {"X-API-Key": f"key-of-{tenant}"}


def _key(tenant: str, scopes: tuple[str, ...] = ("read",)) -> ConfigEntry:
    body = ApiKey(sha256=digest_of(f"key-of-{tenant}"), scopes=scopes, label="test")
    return _entry("api_key", tenant, f"key-{tenant}", body)


def _portfolio() -> ConfigEntry:
    body = Portfolio(
        creditor_name="Loja Azul",
        collector_role="first_party",
        country="BR",
        currency="BRL",
        locale="pt-BR",
        ladder_id="default",
        accounts={"sms": "main"},
        packs=(),
        zone="America/Sao_Paulo",
    )
    return _entry("portfolio", TENANT, PORTFOLIO, body)


def _entry(kind: str, tenant: str, id_: str, body: msgspec.Struct) -> ConfigEntry:
    return ConfigEntry(
        kind=kind,
        tenant_id=tenant,
        id=id_,
        version=1,
        body=msgspec.Raw(msgspec.json.encode(body)),
        changed_at=NOW,
        changed_by="test",
    )


@pytest.fixture
async def ledger(pool: Pool, ledger_url: str) -> AsyncIterator[Ledger]:
    made = Ledger(pool, ledger_url)
    server = await HttpServer.start(made.app, made.settings)
    made.client = open_client(f"http://127.0.0.1:{server.port}")
    yield made
    await made.client.aclose()
    await server.stop()


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


async def test_what_another_tenant_owns_is_what_does_not_exist(ledger: Ledger) -> None:
    debtor = Debtor()
    contact = debtor.contact()
    await ledger.write(debtor.registered(), contact.state("contact.delivered"))
    for path in (f"/v1/debtors/{debtor.debtor_id}/history", f"/v1/contacts/{contact.contact_id}"):
        theirs = await ledger.get(path, "other")
        nobodys = await ledger.get(path.rsplit("/", 2)[0] + f"/{uuid4()}/history", "other")
        assert (await ledger.get(path)).status_code == 200
        assert theirs.status_code == nobodys.status_code == 404
        without_instance = [
            {k: v for k, v in answer.json().items() if k != "instance"}
            for answer in (theirs, nobodys)
        ]
        assert without_instance[0] == without_instance[1]
    assert (await ledger.ok("/v1/events", "other"))["events"] == []
    assert (await ledger.ok("/v1/contacts", "other"))["contacts"] == []
    assert (await ledger.ok("/v1/balance", "other"))["days"] == []
    assert (await ledger.search("other", debt_ref=f"D-{debtor.debt_id}"))["debtors"] == []
    assert (await ledger.get("/v1/contacts", tenant="other")).json()["contacts"] == []
    asked = await ledger.client.get("/v1/contacts?tenant=acme", headers=_headers("other"))
    assert asked.status_code == 404


async def test_the_platforms_key_names_the_tenant(ledger: Ledger) -> None:
    await ledger.write(Debtor().contact().state("contact.planned"))
    unnamed = await ledger.client.get("/v1/contacts", headers=_headers("*"))
    named = await ledger.client.get("/v1/contacts?tenant=acme", headers=_headers("*"))
    assert unnamed.status_code == 422
    assert len(named.json()["contacts"]) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/v1/debtors/6b1f0b0e-0000-4000-8000-000000000000/history",
        "/v1/kpis?from=2026-03-01&to=2026-04-01",
        "/v1/balance",
        "/v1/contacts",
        "/v1/events",
        "/v1/alarms",
    ],
)
async def test_every_route_asks_for_a_key_that_may_read(ledger: Ledger, path: str) -> None:
    assert (await ledger.client.get(path)).status_code == 401
    assert (await ledger.client.get(path, headers=_headers("blind"))).status_code == 403


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


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/kpis?to=2026-04-01", "from"),
        ("/v1/kpis?from=2026-03-01", "to"),
        ("/v1/kpis?from=2026-03-01T00:00:00&to=2026-04-01", "from"),
        ("/v1/kpis?from=gestern&to=2026-04-01", "from"),
        ("/v1/kpis?from=2026-04-01&to=2026-03-01", "to"),
        ("/v1/contacts?outcome=splendid", "outcome"),
        ("/v1/contacts?debtor_id=12", "debtor_id"),
        ("/v1/contacts?cursor=%00", "cursor"),
        ("/v1/contacts?cursor=AAAA", "cursor"),
        ("/v1/contacts?limit=5000", "limit"),
        ("/v1/events?after=" + "A" * 300, "after"),
        ("/v1/events?after=gaRuYW1lo2Jhcg", "cursor"),  # msgpack, of something else
        ("/v1/events?after=" + HUGE, "cursor"),
    ],
)
async def test_a_wrong_parameter_is_named_with_its_remedy(
    ledger: Ledger, path: str, field: str
) -> None:
    answer = await ledger.client.get(path, headers=_headers(TENANT))
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("application/problem+json")
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert error["remedy"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"phone": "+5511912345678", "email": "a@example.org"},
        {"phone": "nobody"},
        {"debtor_ref": "a", "portfolio": "b"},
        {"surname": "Prado"},
        {"limit": 0, "portfolio": "b"},
    ],
)
async def test_a_search_names_exactly_one_thing(ledger: Ledger, body: dict[str, Any]) -> None:
    answer = await ledger.client.post("/v1/search", json=body, headers=_headers(TENANT))
    assert answer.status_code == 422
    assert "Prado" not in answer.text
    assert "5511912345678" not in answer.text


async def test_the_feed_skips_no_late_commit_and_repeats_nothing(ledger: Ledger) -> None:
    debtor = Debtor()
    first, late, second = (debtor.contact().state("contact.planned") for _ in range(3))
    await ledger.write(first)
    async with ledger.pool.acquire() as conn:
        await open_batch(conn)
        async with conn.transaction():
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
