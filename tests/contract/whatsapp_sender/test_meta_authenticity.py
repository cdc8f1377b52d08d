"""Who may post Meta's webhooks: signatures over raw bytes, two secrets at once, the challenge."""

import pytest
from pywa.utils import webhook_updates_validator

from services.whatsapp_sender.providers.meta import Meta, signature
from shared.events.configuration import SenderAccount
from shared.sender.provider import Account, WebhookRequest

META = Meta()
BODY = b'{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[]}]}'


def an_account(**credentials: str) -> Account:
    sender = SenderAccount(
        channel="whatsapp", provider="meta", sender="+551140000000", rate_per_second=1.0,
        credentials={},
    )  # fmt: skip
    return Account(tenant_id="acme", account_id="wa", settings=sender, credentials=credentials)


def request(body: bytes, given: str) -> WebhookRequest:
    return WebhookRequest(url="http://x/", headers={"x-hub-signature-256": given}, body=body)


def test_the_signature_is_what_others_compute() -> None:
    assert webhook_updates_validator("secret", BODY, signature("secret", BODY))


def test_two_secrets_are_valid_at_once_and_no_third() -> None:
    account = an_account(app_secret="new", app_secret_previous="old", access_token="token")
    assert META.authenticate(request(BODY, signature("new", BODY)), account)
    assert META.authenticate(request(BODY, signature("old", BODY)), account)
    for shown in ("", "sha256=", signature("token", BODY), signature("", BODY), "é"):
        assert not META.authenticate(request(BODY, shown), account)
    assert not META.authenticate(request(BODY + b" ", signature("new", BODY)), account)
    assert not META.authenticate(request(BODY, signature("", BODY)), an_account())


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ({"hub.mode": "subscribe", "hub.verify_token": "v", "hub.challenge": "1158201444"},
         "1158201444"),
        ({"hub.mode": "subscribe", "hub.verify_token": "next", "hub.challenge": "1"}, "1"),
        ({"hub.mode": "subscribe", "hub.verify_token": "wrong", "hub.challenge": "1"}, None),
        ({"hub.mode": "subscribe", "hub.challenge": "1"}, None),
        ({"hub.mode": "unsubscribe", "hub.verify_token": "v", "hub.challenge": "1"}, None),
        ({"hub.mode": "subscribe", "hub.verify_token": "v", "hub.challenge": "<script>"}, None),
        ({"hub.mode": "subscribe", "hub.verify_token": "v", "hub.challenge": "1" * 300}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_the_challenge_is_echoed_to_who_knows_the_token(
    query: dict[str, str], answer: str | None
) -> None:
    account = an_account(verify_token="v", verify_token_next="next")
    assert META.challenge(query, account) == answer
