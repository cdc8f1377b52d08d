"""Raw routes, traces, health, progress, metrics and the OpenAPI document."""

import json

import msgspec
import pytest

from shared.http.auth import require
from shared.http.server import Progress, raw_route
from tests.support.site import NOW, PHONE, Site, assert_problem, echo


async def test_a_raw_route_sees_path_body_and_trace(site: Site) -> None:
    answer = await site.call("POST", "/webhooks/twilio/main", None, content=b"abc")
    assert answer.status_code == 202
    body = answer.json()
    assert (body["bytes"], body["provider"], body["account"]) == (3, "twilio", "main")
    assert body["trace"].endswith("-00")


async def test_a_stranger_does_not_choose_our_trace(site: Site) -> None:
    given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    headers = {"traceparent": given}
    answer = await site.call("POST", "/webhooks/twilio/main", None, headers=headers)
    assert answer.json()["trace"] != given


async def test_health_says_live_ready_and_started_apart(site: Site) -> None:
    site.ready = False
    assert (await site.call("GET", "/health/live", None)).status_code == 200
    body = assert_problem(await site.call("GET", "/health/ready", None), 503, "not-ready")
    assert body["checks"] == {"database": False}
    assert_problem(await site.call("GET", "/health/startup", None), 503, "not-ready")
    site.ready = True
    assert (await site.call("GET", "/health/ready", None)).status_code == 200
    site.ready = False
    assert (await site.call("GET", "/health/startup", None)).status_code == 200
    assert (await site.call("GET", "/health/ready", None)).status_code == 503


async def test_progress_is_for_operators(site: Site) -> None:
    answer = await site.call("GET", "/v1/progress", "operator")
    progress = msgspec.json.decode(answer.content, type=Progress)
    assert progress.counters == {"posted": 3}
    assert progress.pending == {"outbox": 0}
    assert progress.next_due == NOW


async def test_metrics_name_route_templates_only(site: Site) -> None:
    await site.call("POST", "/webhooks/twilio/private-account", None)
    await site.call("GET", f"/v1/{PHONE}")
    text = (await site.call("GET", "/metrics", None)).text
    assert 'route="/webhooks/{provider}/{account}"' in text
    assert 'route="unmatched"' in text
    assert "private-account" not in text
    assert PHONE not in text


async def test_the_openapi_document_names_every_route_and_the_key(site: Site) -> None:
    document = (await site.call("GET", "/openapi.json")).json()
    assert document["openapi"].startswith("3.")
    assert document["components"]["securitySchemes"]["api_key"]["name"] == "X-API-Key"
    assert document["paths"]["/webhooks/{provider}/{account}"]["post"]["security"] == []
    assert "post" in document["paths"]["/v1/raw"]
    assert json.dumps(document)


def test_a_raw_route_must_say_who_may_call_it() -> None:
    with pytest.raises(ValueError, match="public=True or one scope"):
        raw_route("/x", echo)
    with pytest.raises(ValueError, match="public=True or one scope"):
        raw_route("/x", echo, public=True, scope="read")
    with pytest.raises(ValueError, match="one scope of"):
        raw_route("/x", echo, scope="everything")
    with pytest.raises(ValueError, match="unknown scope"):
        require("everything")
