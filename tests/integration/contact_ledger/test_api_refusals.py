"""What the ledger refuses over HTTP: other tenants, missing scopes, wrong parameters."""

from typing import Any
from uuid import uuid4

import msgspec
import pytest

from services.contact_ledger import cursors
from tests.support.ledger import (
    TENANT,
    Debtor,
)
from tests.support.ledger_http import Ledger, headers


class BeyondAnyMark(msgspec.Struct):
    """A well-formed mark with numbers that no column holds."""

    generation: int
    xid: int
    ordinal: int


HUGE = cursors.write(BeyondAnyMark(generation=2**40, xid=2**63, ordinal=1))


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
    asked = await ledger.client.get("/v1/contacts?tenant=acme", headers=headers("other"))
    assert asked.status_code == 404


async def test_the_platforms_key_names_the_tenant(ledger: Ledger) -> None:
    await ledger.write(Debtor().contact().state("contact.planned"))
    unnamed = await ledger.client.get("/v1/contacts", headers=headers("*"))
    named = await ledger.client.get("/v1/contacts?tenant=acme", headers=headers("*"))
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
    assert (await ledger.client.get(path, headers=headers("blind"))).status_code == 403


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
        ("/v1/contacts?cursor=%21", "cursor"),
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
    answer = await ledger.client.get(path, headers=headers(TENANT))
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
    answer = await ledger.client.post("/v1/search", json=body, headers=headers(TENANT))
    assert answer.status_code == 422
    assert "Prado" not in answer.text
    assert "5511912345678" not in answer.text
