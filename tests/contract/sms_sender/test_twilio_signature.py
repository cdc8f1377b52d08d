"""Our check of X-Twilio-Signature against the published vector and the official SDK."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

import pytest
from starlette.datastructures import ImmutableMultiDict
from twilio.request_validator import RequestValidator

from services.sms_sender.providers.twilio import Twilio, signature
from shared.events.configuration import SenderAccount
from shared.sender.provider import Account, WebhookRequest

# The example of Twilio's own documentation and of its SDK's tests.
VECTOR_TOKEN = "12345"
VECTOR_URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
VECTOR_FIELDS = {
    "CallSid": "CA1234567890ABCDE",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
    "Caller": "+14158675309",
}
VECTOR_SIGNATURE = "RSOYDt4T1cUTdK1PDd93/VVr8B8="

URL = "https://sms.example.org/webhooks/twilio/acme/acme-sms?a=1&c=2&d=3&n=1&e=20261122&s=ff"
STATUS = {"MessageSid": "SM" + "0" * 32, "MessageStatus": "delivered", "To": "+5511987654321"}
TOKEN = "0123456789abcdef0123456789abcdef"


def test_the_published_vector() -> None:
    assert signature(VECTOR_TOKEN, VECTOR_URL, list(VECTOR_FIELDS.items())) == VECTOR_SIGNATURE


@pytest.mark.parametrize(
    "fields",
    [
        STATUS,
        STATUS | {"Body": "Não, não paguei às 10h: é +R$ 5,00 & só 50%?"},
        STATUS | {"Empty": "", "NewParameter": "arrives without notice", "a": "x", "A": "y"},
    ],
)
def test_what_the_sdk_signs_is_authentic(fields: Mapping[str, str]) -> None:
    signed = RequestValidator(TOKEN).compute_signature(URL, dict(fields))
    assert RequestValidator(TOKEN).validate(URL, dict(fields), signed)
    assert authentic(fields, signed)


def test_repeated_fields_are_signed_as_the_sdk_signs_them() -> None:
    body = "MediaUrl=b&MediaUrl=a&MediaUrl=a&MessageSid=SM1"
    fields = ImmutableMultiDict(parse_qsl(body))
    signed = RequestValidator(TOKEN).compute_signature(URL, fields)
    request = WebhookRequest(url=URL, headers={"x-twilio-signature": signed}, body=body.encode())
    assert Twilio().authenticate(request, an_account())


@pytest.mark.parametrize("url", [URL, URL.replace("example.org", "example.org:443")])
def test_the_default_port_may_be_named_or_not(url: str) -> None:
    signed = RequestValidator(TOKEN).compute_signature(url, STATUS)
    assert authentic(STATUS, signed, url=URL)


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        (STATUS | {"MessageStatus": "read"}, URL),
        (STATUS | {"To": "+5511987654321 "}, URL),
        ({**STATUS, "Extra": "1"}, URL),
        (STATUS, URL.replace("n=1", "n=2")),
        (STATUS, URL.replace("/acme/", "/other/")),
        (STATUS, URL.replace("https", "http")),
    ],
)
def test_anything_altered_is_forged(fields: Mapping[str, str], url: str) -> None:
    signed = RequestValidator(TOKEN).compute_signature(URL, STATUS)
    assert not authentic(fields, signed, url=url)


def test_two_secrets_are_valid_during_a_rotation_and_one_after_it() -> None:
    signed = RequestValidator("new").compute_signature(URL, STATUS)
    rotating = {"auth_token": TOKEN, "auth_token_next": "new"}
    assert authentic(STATUS, signed, credentials=rotating)
    assert authentic(
        STATUS, signed, credentials={"auth_token": "new", "auth_token_previous": TOKEN}
    )
    assert not authentic(STATUS, signed, credentials={"auth_token": TOKEN})


@pytest.mark.parametrize("given", ["", "é", "AAAA", VECTOR_SIGNATURE])
def test_a_wrong_or_missing_signature_is_forged(given: str) -> None:
    assert not authentic(STATUS, given)


def test_a_body_that_is_no_form_is_not_authentic() -> None:
    for body in (b"\xff\xfe", b"{}", b"&" * 5):
        request = WebhookRequest(url=URL, headers={"x-twilio-signature": "x"}, body=body)
        assert not Twilio().authenticate(request, an_account())


def authentic(
    fields: Mapping[str, str],
    signed: str,
    *,
    url: str = URL,
    credentials: Mapping[str, str] | None = None,
) -> bool:
    request = WebhookRequest(
        url=url, headers={"x-twilio-signature": signed}, body=urlencode(fields).encode()
    )
    return Twilio().authenticate(request, an_account(credentials))


def an_account(credentials: Mapping[str, str] | None = None) -> Account:
    settings = SenderAccount(
        channel="sms", provider="twilio", sender="+1", rate_per_second=1.0, credentials={}
    )
    return Account(
        tenant_id="acme",
        account_id="acme-sms",
        settings=settings,
        credentials=credentials or {"auth_token": TOKEN},
    )
