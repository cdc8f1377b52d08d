"""Who may come in: keys, scopes, and what a stranger can learn (nothing)."""

from datetime import timedelta

import msgspec
import pytest

from tests.support.site import Site, a_key, assert_problem


async def test_a_key_in_either_header_names_its_caller(site: Site) -> None:
    expected = {"tenant_id": "acme", "key_id": "key-reader", "scopes": ["read"]}
    assert (await site.call("GET", "/v1/me")).json() == expected
    bearer = {"authorization": "Bearer reader"}
    assert (await site.call("GET", "/v1/me", None, headers=bearer)).json() == expected


@pytest.mark.parametrize(
    ("key", "slug"),
    [(None, "missing-key"), ("wrong", "unknown-key"), ("expired", "expired-key"),
     ("r" * 100_000, "unknown-key")],
    ids=["none", "wrong", "expired", "huge"],
)  # fmt: skip
async def test_without_a_good_key_nobody_comes_in(site: Site, key: str | None, slug: str) -> None:
    if key is not None and len(key) > 1_000:
        key = key[:8_000]  # beyond it the server itself refuses the header
    answer = await site.call("GET", "/v1/me", key)
    assert_problem(answer, 401, slug)
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_key_expires_by_the_platforms_clock(site: Site) -> None:
    """The site's clock stands years ahead of this host's; the key ends one day after it."""
    assert (await site.call("GET", "/v1/me")).status_code == 200
    site.machine_now += timedelta(days=1)
    assert_problem(await site.call("GET", "/v1/me"), 401, "expired-key")


async def test_strangers_cannot_tell_which_paths_exist(site: Site) -> None:
    for path in ("/v1/me", "/v1/no-such-path", "/openapi.json", "/docs", "/v1/raw"):
        assert_problem(await site.call("GET", path, None), 401, "missing-key")


async def test_every_route_but_health_metrics_and_public_ones_wants_a_key(site: Site) -> None:
    document = (await site.call("GET", "/openapi.json")).json()
    open_paths = set()
    for path in document["paths"]:
        method = next(iter(document["paths"][path])).upper()
        answer = await site.call(method, path.replace("{", "").replace("}", ""), None)
        if answer.status_code != 401:
            open_paths.add(path)
    assert open_paths == {
        "/health/live",
        "/health/ready",
        "/health/startup",
        "/metrics",
        "/webhooks/{provider}/{account}",
        "/v1/raw/fail",
    }


async def test_a_missing_scope_is_named(site: Site) -> None:
    body = assert_problem(
        await site.call("POST", "/v1/debtors", json={"name": "x", "phone": "y"}),
        403,
        "missing-scope",
    )
    assert "events:write" in body["detail"]
    assert_problem(await site.call("POST", "/v1/raw", json={}), 403, "missing-scope")
    assert_problem(await site.call("GET", "/v1/progress"), 403, "missing-scope")


async def test_a_key_that_was_withdrawn_is_refused_at_once(site: Site) -> None:
    entry = msgspec.structs.replace(a_key("reader", "read"), version=2, deleted=True)
    site.directory.apply([entry])
    assert_problem(await site.call("GET", "/v1/me"), 401, "unknown-key")


async def test_an_unknown_key_while_starting_is_asked_to_come_back(site: Site) -> None:
    site.ready = False
    answer = await site.call("GET", "/v1/me", "not-read-yet")
    assert_problem(answer, 503, "starting")
    assert answer.headers["retry-after"] == "1"
    site.ready = True
    assert_problem(await site.call("GET", "/v1/me", "not-read-yet"), 401, "unknown-key")
    site.ready = False
    assert_problem(await site.call("GET", "/v1/me", "not-read-yet"), 401, "unknown-key")
