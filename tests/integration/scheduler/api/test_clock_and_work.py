"""The stepped clock, work items between people, explain, and the schema itself."""

import asyncio
import re

from jsonschema import Draft202012Validator

from deploy.local.databases import Database
from services.scheduler.decisions import DECISIONS
from services.scheduler.tables import METADATA
from shared.postgres import migrate
from tests.support.scheduler import OTHER, Doors, a_payment, a_registration


async def test_law_time_is_stepped_forward_only_and_by_the_platform_only(door: Doors) -> None:
    async def step(to: str, key: str) -> int:
        return (await door.call("PUT", "/v1/clock", key=key, json={"law_now": to})).status_code

    assert await step("2026-03-02T12:00:00Z", door.admin) == 200
    assert await step("2026-03-02T11:00:00Z", door.admin) == 409
    assert await step("2026-03-02T13:00:00Z", door.keys[OTHER]) == 403
    assert await step("2026-03-02T13:00:00", door.admin) == 422
    reading = (await door.call("GET", "/v1/clock")).json()
    assert reading["law_now"] == "2026-03-02T12:00:00Z"
    assert reading["mode"] == "sandbox"


async def test_events_are_stamped_with_law_time(door: Doors) -> None:
    await door.call("PUT", "/v1/clock", key=door.admin, json={"law_now": "2026-03-02T12:00:00Z"})

    await door.post(a_registration())

    [(_, event)] = await door.published()
    assert event.recorded_at.isoformat() == "2026-03-02T12:00:00+00:00"


async def test_a_claimed_item_is_its_claimants(door: Doors) -> None:
    await door.post(a_payment())
    [item] = (await door.call("GET", "/v1/work-items")).json()["work_items"]
    path = f"/v1/work-items/{item['work_item_id']}"
    made = await door.call(
        "POST",
        "/v1/api-keys",
        json={"tenant_id": "acme", "label": "second", "scopes": ["operator"]},
    )
    second = made.json()["key"]

    mine = await door.call("POST", f"{path}/claim")
    again = await door.call("POST", f"{path}/claim")
    theirs = await door.call("POST", f"{path}/claim", key=second)
    decided = await door.call("POST", f"{path}/decision", key=second, json={"decision": "discard"})
    foreign = await door.call("POST", f"{path}/claim", key=door.keys[OTHER])

    statuses = [one.status_code for one in (mine, again, theirs, decided, foreign)]
    assert statuses == [200, 200, 409, 409, 404]


async def test_a_decision_that_the_kind_does_not_know_is_refused(door: Doors) -> None:
    await door.post(a_payment())
    [item] = (await door.call("GET", "/v1/work-items")).json()["work_items"]
    path = f"/v1/work-items/{item['work_item_id']}/decision"

    refused = await door.call("POST", path, json={"decision": "waive"})
    taken = await door.call("POST", path, json={"decision": "discard"})

    assert (refused.status_code, taken.status_code) == (422, 200)
    [error] = refused.json()["errors"]
    assert (error["field"], error["remedy"]) == ("decision", "use discard")


async def test_the_document_lists_every_decision(door: Doors) -> None:
    document = (await door.call("GET", "/openapi.json")).json()

    text = document["paths"]["/v1/work-items/{work_item_id}/decision"]["post"]["description"]
    assert set(DECISIONS) == set(re.findall(r"^- `([a-z_]+)`", text, re.MULTILINE))
    for word in ("waive", "approve", "discard", "done"):
        assert f"`{word}`" in text


async def test_explaining_somebody_nobody_knows_is_not_found(door: Doors) -> None:
    by_reference = await door.call("POST", "/v1/explain", json={"debtor_ref": "nobody"})
    by_id = await door.call("GET", "/v1/debtors/00000000-0000-0000-0000-000000000001/explain")
    await door.post(a_registration())
    unplanned = await door.call("POST", "/v1/explain", json={"debt_ref": "D-1"})

    assert [one.status_code for one in (by_reference, by_id, unplanned)] == [404, 404, 404]


async def test_the_migrated_schema_is_what_the_tables_say(scheduler_database: Database) -> None:
    url = scheduler_database.url("scheduler")

    found = await asyncio.to_thread(migrate.differences, "scheduler", url, METADATA)

    assert found == []


async def test_the_openapi_document_describes_every_body(door: Doors) -> None:
    document = (await door.call("GET", "/openapi.json")).json()

    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            undescribed = path.endswith("/claim")
            if method in ("post", "put") and not undescribed:
                assert operation["requestBody"]["content"], f"{method} {path}"


async def test_what_the_document_allows_is_taken(door: Doors) -> None:
    document = (await door.call("GET", "/openapi.json")).json()
    schema = document["paths"]["/v1/events"]["post"]["requestBody"]["content"][
        "application/cloudevents+json"
    ]["schema"]
    validator = Draft202012Validator(schema | {"components": document["components"]})

    for event in (a_registration(), a_payment()):
        assert validator.is_valid(event)
        assert (await door.post(event)).status_code == 202
    for event in (a_registration(principal=1.5), a_registration(debt_ref=""), a_payment(x=1)):
        assert not validator.is_valid(event)
        assert (await door.post(event)).status_code == 422
