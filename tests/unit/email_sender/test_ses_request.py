"""The request that SES gets: the mail as MIME, one tag, and nothing personal beside them."""

import base64
from email import message_from_bytes, policy
from typing import Any

import aiohttp
import msgspec
import pytest

from services.email_sender.message import LINK, Email
from services.email_sender.providers.ses import Ses
from services.email_sender.providers.ses.adapter import request_body
from services.email_sender.providers.ses.places import (
    Place,
    notification_origin,
    place_of,
    topics_of,
)
from shared.events.configuration import SenderAccount
from shared.sender.errors import ErrorKind
from shared.sender.provider import Account, Refused, Sending

REFERENCE = f"{'0a' * 16}-1-20261122-0123456789abcdef"
SENDING = Sending(
    callback_url="https://mail.example.org/c",
    validity_seconds=60,
    reference=REFERENCE,
    unsubscribe_url="https://mail.example.org/u/1",
)
KEYS = {"access_key_id": "AKID", "secret_access_key": "secret"}
OPTIONS = {"region": "sa-east-1", "configuration_set": "reminders"}


def an_account(
    options: dict[str, str] | None = None, base_url: str | None = None, **changes: Any
) -> Account:
    fields: dict[str, Any] = {
        "channel": "email",
        "provider": "ses",
        "sender": "cobranca@example.com",
        "rate_per_second": 1.0,
        "credentials": {},
        "base_url": base_url,
        "options": OPTIONS if options is None else options,
    }
    settings = SenderAccount(**(fields | changes))
    return Account(tenant_id="acme", account_id="main", settings=settings, credentials=KEYS)


def an_email(**changes: Any) -> Email:
    fields: dict[str, Any] = {
        "to": "maria@example.net",
        "from_name": 'Loja "Olá", S.A.',
        "subject": "Uma mensagem para você",
        "body": f"Olá Maria. Sair: {LINK}",
        "markup": f'<p>Olá Maria. <a href="{LINK}">Sair</a></p>',
        "language": "pt-BR",
    }
    return Email(**(fields | changes))


def requested(email: Email, account: Account | None = None) -> dict[str, Any]:
    account = account or an_account()
    place = place_of(account.settings)
    assert isinstance(place, Place)
    body: dict[str, Any] = msgspec.json.decode(request_body(place, account, email, SENDING))
    return body


def test_a_mail_is_raw_mime_with_one_tag() -> None:
    body = requested(an_email())
    raw = body["Content"].pop("Raw")["Data"]
    assert body == {
        "Destination": {"ToAddresses": ["maria@example.net"]},
        "Content": {},
        "ConfigurationSetName": "reminders",
        "EmailTags": [{"Name": "reference", "Value": REFERENCE}],
    }
    message = message_from_bytes(base64.b64decode(raw), policy=policy.default)
    assert message["To"] == "maria@example.net"
    assert message["From"].addresses[0].addr_spec == "cobranca@example.com"
    assert message["From"].addresses[0].display_name == 'Loja "Olá", S.A.'
    assert message["Subject"] == "Uma mensagem para você"
    assert message["List-Unsubscribe"] == "<https://mail.example.org/u/1>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    parts = [part.get_content_type() for part in message.iter_parts()]
    assert parts == ["text/plain", "text/html"]
    assert "DKIM-Signature" not in message  # SES signs, for it sets Date and Message-ID anew


def test_names_cannot_add_headers() -> None:
    hostile = an_email(from_name="Loja\r\nBcc: eve@example.org", subject="a b")
    raw = base64.b64decode(requested(hostile)["Content"]["Raw"]["Data"])
    assert message_from_bytes(raw)["Bcc"] is None


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({}, "region"),
        ({"region": "moon"}, "region"),
        ({"region": "sa-east-1.evil.example/"}, "region"),
        ({"region": "sa-east-1"}, "configuration_set"),
        ({**OPTIONS, "reply_to": "not an address"}, "reply_to"),
    ],
)
async def test_options_that_are_missing_or_wrong_are_named(
    options: dict[str, str], missing: str
) -> None:
    async with aiohttp.ClientSession() as client:
        result = await Ses().send(client, an_account(options), an_email(), SENDING)
    assert isinstance(result, Refused)
    assert result.error.kind is ErrorKind.ACCOUNT_SETTINGS
    assert missing in str(result.error.code)


@pytest.mark.parametrize(
    ("region", "endpoint", "notifications"),
    [
        ("sa-east-1", "email.sa-east-1.amazonaws.com", "sns.sa-east-1.amazonaws.com"),
        ("us-gov-west-1", "email.us-gov-west-1.amazonaws.com", "sns.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "email.cn-north-1.amazonaws.com.cn", "sns.cn-north-1.amazonaws.com.cn"),
        ("eusc-de-east-1", "email.eusc-de-east-1.amazonaws.eu", "sns.eusc-de-east-1.amazonaws.eu"),
    ],
)
def test_hosts_are_amazons_of_the_region(region: str, endpoint: str, notifications: str) -> None:
    settings = an_account({**OPTIONS, "region": region}).settings
    place = place_of(settings)
    assert isinstance(place, Place)
    assert place.endpoint == f"https://{endpoint}"
    topic = f"arn:aws:sns:{region}:123456789012:events"
    assert notification_origin(settings, topic) == f"https://{notifications}"


def test_an_address_of_the_account_stands_for_all_of_amazon() -> None:
    settings = an_account(base_url="http://127.0.0.1:8090/").settings
    place = place_of(settings)
    assert isinstance(place, Place)
    assert place.endpoint == "http://127.0.0.1:8090"
    topic = "arn:aws:sns:sa-east-1:123456789012:events"
    assert notification_origin(settings, topic) == "http://127.0.0.1:8090"


@pytest.mark.parametrize(
    "topic",
    ["", "events", "arn:aws:sqs:sa-east-1:123456789012:events", "arn:aws:sns:x/y:123456789012:e"],
)
def test_what_is_no_topic_leads_nowhere(topic: str) -> None:
    settings = an_account({**OPTIONS, "topic_arn": topic}).settings
    assert notification_origin(settings, topic) is None
    assert not topics_of(settings)
