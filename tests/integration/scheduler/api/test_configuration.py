"""Configuration: versions with who and when, checked references, keys shown once."""

import asyncio
import time
from typing import Any
from urllib.parse import quote

import pytest

from services.scheduler.app import Scheduler
from shared.events.topics import PLATFORM_CONFIG
from shared.http.auth import digest_of
from shared.postgres import UniqueViolation
from tests.support.scheduler import ACCOUNT, LADDER, OTHER, PORTFOLIO, TEMPLATE, Doors, settings_for


async def test_a_change_is_a_version_published_and_known_at_once(door: Doors) -> None:
    changed = PORTFOLIO | {"creditor_name": "Casa Nova"}

    answer = await door.call("PUT", "/v1/config/portfolio/cards", json=changed)

    assert answer.json()["version"] == 2
    assert answer.headers["etag"] == '"2"'
    [(kind, entry)] = await door.facts(PLATFORM_CONFIG.name)
    assert kind == "config.changed.v1"
    assert (entry["version"], entry["body"]["creditor_name"]) == (2, "Casa Nova")
    known = door.scheduler.directory.get("portfolio", "acme", "cards")
    assert known is not None
    assert known.version == 2


async def test_the_same_body_again_is_no_change(door: Doors) -> None:
    answer = await door.call("PUT", "/v1/config/portfolio/cards", json=PORTFOLIO)

    assert answer.json()["version"] == 1
    assert await door.facts(PLATFORM_CONFIG.name) == []


async def test_the_history_says_who_changed_what_and_when(door: Doors) -> None:
    await door.call("PUT", "/v1/config/template/reminder", json=TEMPLATE | {"tone": "firm"})
    await door.call("DELETE", "/v1/config/template/reminder")

    history = await door.call("GET", "/v1/config/template/reminder/history")
    gone = await door.call("GET", "/v1/config/template/reminder")

    versions = history.json()["versions"]
    assert [(one["version"], one["deleted"]) for one in versions] == [
        (3, True),
        (2, False),
        (1, False),
    ]
    assert all(one["changed_by"].startswith("acme/") for one in versions)
    assert gone.status_code == 404


async def test_a_change_on_an_older_version_is_refused(door: Doors) -> None:
    def change(name: str, version: str) -> Any:
        body = PORTFOLIO | {"creditor_name": name}
        headers = {"if-match": version}
        return door.call("PUT", "/v1/config/portfolio/cards", json=body, headers=headers)

    mine = await change("A", '"1"')
    late = await change("B", '"1"')
    create = await change("C", "0")
    garbled = await change("D", '"x"')

    assert [one.status_code for one in (mine, late, create, garbled)] == [200, 412, 412, 422]


async def test_versions_are_never_changed_in_the_database(door: Doors) -> None:
    with pytest.raises(UniqueViolation):
        await door.pool.execute("INSERT INTO config_version SELECT * FROM config_version")


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        ("portfolio", PORTFOLIO | {"ladder_id": "nobodys"}, "ladder_id"),
        ("portfolio", PORTFOLIO | {"packs": ["nobodys"]}, "packs[0]"),
        ("portfolio", PORTFOLIO | {"accounts": {"sms": "nobodys"}}, "accounts.sms"),
        ("portfolio", PORTFOLIO | {"accounts": {"email": "main"}}, "accounts.email"),
        ("portfolio", PORTFOLIO | {"currency": "XXX"}, "currency"),
        ("portfolio", PORTFOLIO | {"zone": "Brasil"}, "zone"),
        ("portfolio", PORTFOLIO | {"country": "Brazil"}, "country"),
        ("portfolio", PORTFOLIO | {"collector_role": "friend"}, "collector_role"),
        ("portfolio", PORTFOLIO | {"promise_grace_days": -1}, "promise_grace_days"),
        ("portfolio", PORTFOLIO | {"allocation_order": ["principal"]}, "allocation_order"),
        ("portfolio", PORTFOLIO | {"unknown": 1}, "unknown"),
        ("template", TEMPLATE | {"texts": {}}, "texts"),
        ("template", TEMPLATE | {"texts": {"pt-BR": "x" * 2_000}}, "texts.pt-BR"),
        ("template", TEMPLATE | {"channel": "fax"}, "channel"),
        ("account", ACCOUNT | {"credentials": {"auth_token": "s3cret"}}, "credentials.auth_token"),
        ("account", ACCOUNT | {"rate_per_second": 0.0}, "rate_per_second"),
        ("account", ACCOUNT | {"base_url": "ftp://x"}, "base_url"),
        ("account", ACCOUNT | {"base_url": "https://[::1"}, "base_url"),
        ("account", ACCOUNT | {"base_url": "https://x:99999/"}, "base_url"),
        ("account", ACCOUNT | {"base_url": "https://u:secret@x/"}, "base_url"),
        ("ladder", {"text": "nonsense"}, "text: line 1: $"),
        ("ladder", {"text": LADDER.replace("reminder}", "nobodys}")}, None),
        ("pack", {"text": "!!python/object:os.system {}"}, None),
        ("tenant", {"name": ""}, "name"),
    ],
)
async def test_what_does_not_fit_is_refused_naming_the_field(
    door: Doors, kind: str, body: dict[str, Any], field: str | None
) -> None:
    entry_id = "acme" if kind == "tenant" else "new"

    answer = await door.call("PUT", f"/v1/config/{kind}/{entry_id}", json=body)

    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert error["remedy"]
    assert field is None or error["field"] == field
    assert "s3cret" not in answer.text


async def test_third_party_texts_in_the_us_need_a_provider_that_allows_them(door: Doors) -> None:
    third = PORTFOLIO | {"collector_role": "third_party", "country": "US", "currency": "USD"}
    other = {"provider": "twilio_compatible", "base_url": "https://texts.example"}
    await door.call("PUT", "/v1/config/account/other", json=ACCOUNT | other)

    refused = await door.call("PUT", "/v1/config/portfolio/us", json=third)
    stored = await door.call(
        "PUT", "/v1/config/portfolio/us", json=third | {"accounts": {"sms": "other"}}
    )

    assert refused.status_code == 422
    [error] = refused.json()["errors"]
    assert error["field"] == "accounts.sms"
    assert "third_party" in error["message"]
    assert error["remedy"] == "use another provider or channel"
    assert stored.status_code == 201, stored.text


async def test_whatsapp_for_third_parties_needs_a_written_attestation(door: Doors) -> None:
    chat = ACCOUNT | {"channel": "whatsapp", "provider": "meta"}
    await door.call("PUT", "/v1/config/account/chat", json=chat)
    third = PORTFOLIO | {"collector_role": "third_party", "accounts": {"whatsapp": "chat"}}
    attested = third | {"whatsapp_attestation": "signed by legal on 2026-01-05"}

    answers = [
        await door.call("PUT", "/v1/config/portfolio/chats", json=body)
        for body in (third, attested)
    ]

    assert [answer.status_code for answer in answers] == [422, 201], answers[1].text
    [error] = answers[0].json()["errors"]
    assert (error["field"], "whatsapp_attestation" in error["remedy"]) == (
        "accounts.whatsapp",
        True,
    )


async def test_what_a_portfolio_uses_cannot_be_deleted(door: Doors) -> None:
    answers = [
        await door.call("DELETE", f"/v1/config/{path}") for path in ("ladder/short", "account/main")
    ]

    assert [answer.status_code for answer in answers] == [409, 409]


async def test_a_tenant_sees_and_changes_only_its_own(door: Doors) -> None:
    await door.call("PUT", "/v1/config/template/mine", json=TEMPLATE)

    theirs = door.keys[OTHER]
    found = await door.call("GET", "/v1/config/template/mine", key=theirs)
    named = await door.call(
        "GET", "/v1/config/template/mine", key=theirs, params={"tenant": "acme"}
    )
    tenant = await door.call("PUT", "/v1/config/tenant/acme", key=theirs, json={"name": "Mine"})
    platform = await door.call(
        "GET", "/v1/config/template/mine", key=door.admin, params={"tenant": "acme"}
    )

    statuses = [one.status_code for one in (found, named, tenant, platform)]
    assert statuses == [404, 403, 403, 200]


async def test_a_tenants_entry_needs_the_scope_admin(door: Doors) -> None:
    made = await door.call(
        "POST",
        "/v1/api-keys",
        json={"tenant_id": "acme", "label": "erp", "scopes": ["config:write"]},
    )
    key = made.json()["key"]

    changed = await door.call("PUT", "/v1/config/tenant/acme", key=key, json={"name": "Mine"})
    deleted = await door.call("DELETE", "/v1/config/tenant/acme", key=key)
    other = await door.call("PUT", "/v1/config/template/mine", key=key, json=TEMPLATE)

    assert [one.status_code for one in (changed, deleted, other)] == [403, 403, 201]


@pytest.mark.parametrize("tenant_id", ["acme:cards", "*", "a/b", "-a"])
async def test_no_tenants_id_reaches_into_anothers_subjects(door: Doors, tenant_id: str) -> None:
    path = f"/v1/config/tenant/{quote(tenant_id, safe='')}"
    answer = await door.call("PUT", path, key=door.admin, json={"name": "x"})
    assert answer.status_code in {404, 422}


async def test_a_large_document_stalls_nobody_else(door: Doors) -> None:
    """What is read at length is read beside the loop that publishes everybody's holds."""
    longest_pause = 0.0

    async def watch() -> None:
        nonlocal longest_pause
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)  # the heartbeat that is measured
            longest_pause = max(longest_pause, time.monotonic() - began)

    watching = asyncio.ensure_future(watch())
    began = time.monotonic()
    text = "[" + "1," * 90_000 + "]"
    answer = await door.call("PUT", "/v1/config/ladder/large", json={"text": text})
    watching.cancel()

    assert answer.status_code == 422
    assert longest_pause < (time.monotonic() - began) / 2


async def test_a_keys_secret_is_shown_once_and_stored_nowhere(door: Doors) -> None:
    made = await door.call(
        "POST",
        "/v1/api-keys",
        json={"tenant_id": "acme", "label": "erp", "scopes": ["events:write"]},
    )
    secret = made.json()["key"]
    listed = await door.call("GET", "/v1/api-keys")

    assert secret.startswith("regua_")
    assert len(secret) > 43
    assert secret not in listed.text
    assert digest_of(secret) in listed.text
    assert (
        await door.pool.fetchval(
            "SELECT count(*) FROM config_version WHERE position($1 in encode(body, 'escape')) > 0",
            secret,
        )
        == 0
    )


async def test_a_revoked_key_is_turned_away(door: Doors) -> None:
    made = await door.call(
        "POST",
        "/v1/api-keys",
        json={"tenant_id": "acme", "label": "erp", "scopes": ["operator"]},
    )
    key = made.json()["key"]

    before = await door.call("GET", "/v1/holds", key=key)
    await door.call("DELETE", f"/v1/api-keys/{made.json()['id']}")
    after = await door.call("GET", "/v1/holds", key=key)

    assert (before.status_code, after.status_code) == (200, 401)


async def test_keys_for_others_or_with_unknown_scopes_are_refused(door: Doors) -> None:
    async def make(**changes: Any) -> int:
        body = {"tenant_id": "acme", "label": "x", "scopes": ["read"]} | changes
        return (await door.call("POST", "/v1/api-keys", json=body)).status_code

    assert await make(tenant_id=OTHER) == 403
    assert await make(tenant_id="*") == 403
    assert await make(scopes=["root"]) == 422
    assert await make(scopes=[]) == 422


async def test_the_first_platform_key_is_made_once(door: Doors) -> None:
    configuration = door.scheduler.configuration

    assert await configuration.bootstrap(force_new=False) is None
    made = await configuration.bootstrap(force_new=True)

    assert made is not None
    answer = await door.call("GET", "/v1/api-keys", key=made.key)
    assert answer.status_code == 200


async def test_a_new_process_knows_everything_from_the_database(door: Doors) -> None:
    url = door.scheduler.settings.postgres_url.get_secret_value()
    fresh = Scheduler(settings_for(url), door.pool)

    count = await fresh.configuration.load()

    assert count > 8
    assert fresh.directory.get("portfolio", "acme", "cards") is not None
    assert fresh.directory.api_key(digest_of(door.keys["acme"])) is not None


async def test_after_a_lost_log_every_entry_is_published_again(door: Doors) -> None:
    await door.scheduler.configuration.republish()

    facts = await door.facts(PLATFORM_CONFIG.name)
    entries = await door.pool.fetchval(
        "SELECT count(*) FROM (SELECT DISTINCT kind, tenant_id, id FROM config_version) AS e"
    )
    assert len(facts) == entries
