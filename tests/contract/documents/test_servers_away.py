"""While its servers are away a service says so: 503, problem+json, and when to come back.

Every operation of every document is asked once, with the request that the document describes.
"""

from urllib.parse import urlencode
from uuid import uuid4

import httpx
import msgspec
import pytest
from twilio.request_validator import RequestValidator

from shared.events import identities
from shared.events.configuration import ConfigEntry, SenderAccount
from shared.http.problems import MEDIA_TYPE
from shared.kafka import ends
from shared.sender.attempts import Attempt, Frame
from tests.support.away import KEY, NOW, SERVICES, TENANT, Away, application, requests_of

# Who asks these asks about the process, and gets an answer without any server.
OF_THE_PROCESS = {"health_live", "health_ready", "health_startup", "read_metrics"}
# Their callers prove themselves by what they send: below, and in the providers' own cases.
OF_PROVIDERS = {"take_webhook", "answer_challenge", "ask_to_unsubscribe", "unsubscribe"}
BROKER_SECONDS = 0.2  # nobody answers: how long it is asked is no part of this test
TOKEN, ORIGIN = "twilio-secret-token", "http://127.0.0.1:8082"


def client_of(away: Away) -> httpx.AsyncClient:  # noqa: TID251 - in process: no network
    transport = httpx.ASGITransport(away.app)
    return httpx.AsyncClient(transport=transport, base_url=ORIGIN)  # noqa: TID251


def assert_put_off(answer: httpx.Response, what: str) -> None:
    assert answer.status_code == 503, f"{what}: {answer.status_code} {answer.text}"
    assert answer.headers["content-type"] == MEDIA_TYPE, what
    assert int(answer.headers["retry-after"]) > 0, what
    assert answer.json()["status"] == 503, what


@pytest.mark.parametrize("service", SERVICES)
async def test_every_operation_says_that_it_cannot_now_and_when_to_come_back(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ends, "ASK_SECONDS_MAX", BROKER_SECONDS)
    async with application(service) as away, client_of(away) as client:
        asked = set()
        for name, method, path, request in requests_of(away.app.openapi()):
            if name in OF_PROVIDERS:
                continue
            headers = {"X-API-Key": KEY} | request.pop("headers", {})
            answer = await client.request(method, path, headers=headers, **request)
            if name in OF_THE_PROCESS:
                assert answer.status_code == 200, name
            else:
                assert_put_off(answer, name)
                asked.add(name)
        assert asked >= {"read_progress"}


async def test_a_webhook_that_cannot_be_stored_is_to_be_sent_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEST_AWAY_TOKEN", TOKEN)
    given = {"provider_secrets": "env:TEST_AWAY_TOKEN", "public_url": ORIGIN}
    async with application("sms_sender", **given) as away, client_of(away) as client:
        away.directory.apply([an_account("sms", "twilio", {"auth_token": "env:TEST_AWAY_TOKEN"})])
        fields = {"MessageSid": f"SM{uuid4().hex}", "From": "+5511987654321", "Body": "Oi"}
        path = f"/webhooks/twilio/{TENANT}/main"
        signature = RequestValidator(TOKEN).compute_signature(f"{ORIGIN}{path}", fields)
        headers = {
            "X-Twilio-Signature": signature,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        answer = await client.post(path, content=urlencode(fields), headers=headers)
        assert_put_off(answer, "webhook")


async def test_who_unsubscribes_is_asked_to_come_back() -> None:
    async with application("email_sender") as away, client_of(away) as client:
        away.directory.apply([an_account("email", "smtp", {})])
        url = away.parts.callbacks.unsubscribe_url(an_attempt())
        assert (await client.get(url)).status_code == 200
        answer = await client.post(url, data={"List-Unsubscribe": "One-Click"})
        assert_put_off(answer, "unsubscribe")


def an_attempt() -> Attempt:
    contact_id = uuid4()
    return Attempt(
        attempt_id=identities.attempt_id(contact_id, 1),
        contact_id=contact_id,
        n=1,
        ends_on=NOW.date(),
        debtor_id=uuid4(),
        tenant_id=TENANT,
        account_id="main",
        provider="smtp",
        frame=Frame(
            portfolio_id="p", channel="email", step_key="d3", stage=1, template="t", items=()
        ),
        not_after=NOW,
    )


def an_account(channel: str, provider: str, credentials: dict[str, str]) -> ConfigEntry:
    body = SenderAccount(
        channel=channel,
        provider=provider,
        sender="+15017122661",
        rate_per_second=1.0,
        credentials=credentials,
    )
    return ConfigEntry(
        kind="account",
        tenant_id=TENANT,
        id="main",
        version=1,
        body=msgspec.Raw(msgspec.json.encode(body)),
        changed_at=NOW,
        changed_by="test",
    )
