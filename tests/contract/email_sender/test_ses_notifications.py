"""Notifications of Amazon SNS: ours judged by independent validators, and theirs by us.

`sns_vectors.json` holds messages that Amazon's own validator (JavaScript) accepted; signatures of
this kind are the same whenever they are made, so making them again is as good as asking it again.
"""

import base64
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sns_message_validator import SNSMessageValidator
from sns_message_validator.exceptions import SignatureVerificationFailureException

from deploy.sandbox.ses_notifications import Notary
from services.email_sender.providers.ses import Ses
from services.email_sender.providers.ses.certificates import FETCHES_MAX
from services.email_sender.providers.ses.notifications import read_envelope, worth_checking
from shared.events.configuration import SenderAccount
from shared.sender.calls import new_client
from shared.sender.provider import (
    Account,
    KeyUnavailableError,
    UnreadableWebhookError,
    WebhookRequest,
)

VECTORS = msgspec.json.decode((Path(__file__).parent / "sns_vectors.json").read_bytes())
MESSAGES: list[dict[str, str]] = VECTORS["messages"]
TOPIC = MESSAGES[0]["TopicArn"]
SENT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NAMES = [f"{each['Type']}-{each['SignatureVersion']}-{len(each)}" for each in MESSAGES]

each_message = pytest.mark.parametrize("message", MESSAGES, ids=NAMES)


class Amazon:
    """Serves what the tests tell it to, in the place of SNS."""

    def __init__(self) -> None:
        self.served: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []
        self.origin = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(str(request.rel_url))
        status, body = self.served.get(request.path, (404, b""))
        return web.Response(status=status, body=body)


@pytest.fixture
async def amazon() -> AsyncIterator[Amazon]:
    made = Amazon()
    application = web.Application()
    application.router.add_get("/{path:.*}", made.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    made.served["/SimpleNotificationService-a1.pem"] = (200, VECTORS["certificate"].encode())
    yield made
    await runner.cleanup()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with new_client(4, 1.0, 1.0) as made:
        yield made


@pytest.fixture(scope="module")
def notary() -> Notary:
    key = load_pem_private_key(VECTORS["key"].encode(), None)
    assert isinstance(key, RSAPrivateKey)
    return Notary(key)


def account(base_url: str | None, topic_arn: str = TOPIC) -> Account:
    settings = SenderAccount(
        channel="email",
        provider="ses",
        sender="a@example.com",
        rate_per_second=1.0,
        credentials={},
        base_url=base_url,
        options={"topic_arn": topic_arn},
    )
    return Account(tenant_id="acme", account_id="main", settings=settings, credentials={})


def request(message: dict[str, str], received_at: datetime | None = SENT) -> WebhookRequest:
    return WebhookRequest(
        url="https://mail.example.org/webhooks/ses/acme/main",
        headers={"x-amz-sns-topic-arn": message["TopicArn"]},
        body=msgspec.json.encode(message),
        received_at=received_at,
    )


def served_by(amazon: Amazon, message: dict[str, str]) -> dict[str, str]:
    """The message with the address of its certificate (never signed) at our own Amazon."""
    return message | {"SigningCertURL": f"{amazon.origin}/SimpleNotificationService-a1.pem"}


async def is_genuine(
    client: aiohttp.ClientSession, amazon: Amazon, webhook: WebhookRequest, **options: str
) -> bool:
    ses, mine = Ses(), account(amazon.origin, **options)
    await ses.prepare(client, webhook, mine)
    return ses.authenticate(webhook, mine)


@each_message
def test_the_sandbox_signs_what_amazons_validator_accepts(
    notary: Notary, message: dict[str, str]
) -> None:
    assert notary.sign(message) == message["Signature"]


@each_message
async def test_we_accept_what_amazons_validator_accepts(
    amazon: Amazon, client: aiohttp.ClientSession, message: dict[str, str]
) -> None:
    assert await is_genuine(client, amazon, request(served_by(amazon, message)))


@each_message
async def test_anything_altered_is_forged(
    amazon: Amazon, client: aiohttp.ClientSession, message: dict[str, str]
) -> None:
    genuine = served_by(amazon, message)
    other = base64.b64encode(b"x" * 256).decode()
    for change in (
        {"Message": genuine["Message"] + " "},
        {"MessageId": "another"},
        {"Timestamp": "2026-11-22T12:00:00.124Z"},
        {"Type": "Notification" if "Token" in genuine else "SubscriptionConfirmation"},
        {"Signature": other},
        {"Signature": "?"},
        {"Subject": "another"},
        {"Token": "another", "Subject": "x"},
        {"SignatureVersion": "3"},
        {"SignatureVersion": "2" if genuine["SignatureVersion"] == "1" else "1"},
    ):
        altered = genuine | change
        if altered["Type"] != "Notification" and set(change) == {"Subject"}:
            continue  # not among what is signed of a confirmation, and never read
        assert not await is_genuine(client, amazon, request(altered)), change


@pytest.mark.parametrize(
    "place",
    [
        "http://127.0.0.1:1/SimpleNotificationService-a1.pem",
        "https://sns.sa-east-1.amazonaws.com/SimpleNotificationService-a1.pem",
        "{origin}.evil.example/SimpleNotificationService-a1.pem",
        "{origin}@evil.example/SimpleNotificationService-a1.pem",
        "{origin}/other/SimpleNotificationService-a1.pem",
        "{origin}/SimpleNotificationService-a1.pem?x=1",
        "{origin}/SimpleNotificationService-a1.pem#x",
        "{origin}/SimpleNotificationService-../a1.pem",
        "",
    ],
)
async def test_a_certificate_from_elsewhere_is_not_even_fetched(
    amazon: Amazon, client: aiohttp.ClientSession, place: str
) -> None:
    elsewhere = MESSAGES[0] | {"SigningCertURL": place.format(origin=amazon.origin)}
    assert not await is_genuine(client, amazon, request(elsewhere))
    assert not amazon.asked


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        ("https://sns.sa-east-1.amazonaws.com/SimpleNotificationService-a1.pem", True),
        ("https://sns.us-east-1.amazonaws.com/SimpleNotificationService-a1.pem", False),
        ("http://sns.sa-east-1.amazonaws.com/SimpleNotificationService-a1.pem", False),
        ("https://sns.sa-east-1.amazonaws.com.br/SimpleNotificationService-a1.pem", False),
        ("https://sns.sa-east-1.amazonaws.com:8443/SimpleNotificationService-a1.pem", False),
        ("https://s3.sa-east-1.amazonaws.com/SimpleNotificationService-a1.pem", False),
    ],
)
def test_amazons_own_certificates_are_those_of_the_topics_region(
    url: str, *, trusted: bool
) -> None:
    envelope = read_envelope(msgspec.json.encode(MESSAGES[0] | {"SigningCertURL": url}))
    assert worth_checking(envelope, account(None).settings, SENT) == trusted


@pytest.mark.parametrize(
    ("age", "believed"),
    [
        (timedelta(0), True),
        (timedelta(minutes=64), True),
        (timedelta(minutes=66), False),
        (timedelta(days=30), False),
        (-timedelta(minutes=4), True),
        (-timedelta(minutes=6), False),
    ],
)
async def test_a_message_is_believed_for_an_hour(
    amazon: Amazon, client: aiohttp.ClientSession, age: timedelta, *, believed: bool
) -> None:
    webhook = request(served_by(amazon, MESSAGES[0]), SENT + age)
    assert await is_genuine(client, amazon, webhook) == believed


@pytest.mark.parametrize(
    ("configured", "believed"),
    [
        (TOPIC, True),
        (f"{TOPIC}-next, {TOPIC}", True),
        (f"{TOPIC}-next", False),
        ("", False),
        ("*", False),
    ],
)
async def test_only_topics_of_the_account_are_believed(
    amazon: Amazon, client: aiohttp.ClientSession, configured: str, *, believed: bool
) -> None:
    webhook = request(served_by(amazon, MESSAGES[0]))
    assert await is_genuine(client, amazon, webhook, topic_arn=configured) == believed
    assert bool(amazon.asked) == believed


async def test_what_has_no_time_or_another_header_is_refused(
    amazon: Amazon, client: aiohttp.ClientSession
) -> None:
    genuine = served_by(amazon, MESSAGES[0])
    assert not await is_genuine(client, amazon, request(genuine, None))
    contradicting = request(genuine | {"TopicArn": f"{TOPIC}2"})
    swapped = msgspec.structs.replace(request(genuine), headers=contradicting.headers)
    assert not await is_genuine(client, amazon, swapped, topic_arn=f"{TOPIC},{TOPIC}2")


async def test_a_certificate_is_fetched_once(amazon: Amazon, client: aiohttp.ClientSession) -> None:
    ses, mine = Ses(), account(amazon.origin)
    for message in MESSAGES:
        webhook = request(served_by(amazon, message))
        await ses.prepare(client, webhook, mine)
        assert ses.authenticate(webhook, mine)
    assert len(amazon.asked) == 1


@pytest.mark.parametrize("status", [500, 503, 302])
async def test_a_certificate_that_cannot_be_had_now_is_asked_for_again(
    amazon: Amazon, client: aiohttp.ClientSession, status: int
) -> None:
    ses, mine = Ses(), account(amazon.origin)
    webhook = request(served_by(amazon, MESSAGES[0]))
    good = amazon.served["/SimpleNotificationService-a1.pem"]
    amazon.served["/SimpleNotificationService-a1.pem"] = (status, b"")
    with pytest.raises(KeyUnavailableError):
        await ses.prepare(client, webhook, mine)
    amazon.served["/SimpleNotificationService-a1.pem"] = good
    await ses.prepare(client, webhook, mine)
    assert ses.authenticate(webhook, mine)


@pytest.mark.parametrize("body", [b"", b"-----BEGIN", b"x" * 100_000, b"\xff" * 10])
async def test_what_is_no_certificate_proves_nothing(
    amazon: Amazon, client: aiohttp.ClientSession, body: bytes
) -> None:
    amazon.served["/SimpleNotificationService-a1.pem"] = (200, body)
    assert not await is_genuine(client, amazon, request(served_by(amazon, MESSAGES[0])))


async def test_a_forger_cannot_make_us_fetch_without_end(
    amazon: Amazon, client: aiohttp.ClientSession
) -> None:
    ses, mine = Ses(), account(amazon.origin)
    for number in range(FETCHES_MAX):
        url = f"{amazon.origin}/SimpleNotificationService-b{number}.pem"
        await ses.prepare(client, request(MESSAGES[0] | {"SigningCertURL": url}), mine)
        await ses.prepare(client, request(MESSAGES[0] | {"SigningCertURL": url}), mine)
    assert len(amazon.asked) == FETCHES_MAX
    with pytest.raises(KeyUnavailableError):
        await ses.prepare(client, request(served_by(amazon, MESSAGES[0])), mine)
    assert len(amazon.asked) == FETCHES_MAX


@pytest.fixture
def subscription(amazon: Amazon) -> dict[str, str]:
    return served_by(amazon, next(each for each in MESSAGES if "Token" in each))


async def test_a_subscription_is_confirmed_where_sns_is_not_where_the_message_says(
    amazon: Amazon, client: aiohttp.ClientSession, subscription: dict[str, str]
) -> None:
    amazon.served["/"] = (200, b"<ConfirmSubscriptionResponse/>")
    await Ses().confirm(client, request(subscription), account(amazon.origin))
    (asked,) = amazon.asked
    assert asked.startswith("/?Action=ConfirmSubscription&")
    assert f"Token={subscription['Token']}" in asked
    assert subscription["SubscribeURL"].startswith("https://sns.sa-east-1.amazonaws.com/")


async def test_a_confirmation_that_sns_refuses_is_over_and_one_unanswered_is_not(
    amazon: Amazon, client: aiohttp.ClientSession, subscription: dict[str, str]
) -> None:
    amazon.served["/"] = (400, b"")
    await Ses().confirm(client, request(subscription), account(amazon.origin))
    amazon.served["/"] = (503, b"")
    with pytest.raises(KeyUnavailableError):
        await Ses().confirm(client, request(subscription), account(amazon.origin))
    with pytest.raises(KeyUnavailableError):
        await Ses().confirm(client, request(subscription), account("http://127.0.0.1:9"))


async def test_other_messages_confirm_nothing(
    amazon: Amazon, client: aiohttp.ClientSession, subscription: dict[str, str]
) -> None:
    for message in (MESSAGES[0], subscription | {"Type": "UnsubscribeConfirmation"}):
        await Ses().confirm(client, request(message), account(amazon.origin))
    assert not amazon.asked


@each_message
def test_confirmations_and_greetings_tell_nothing_of_mails(message: dict[str, str]) -> None:
    events = Ses().read_webhook(msgspec.json.encode(message))
    assert bool(events) == ("eventType" in message["Message"])


def test_raw_delivery_is_unreadable() -> None:
    with pytest.raises(UnreadableWebhookError, match="raw message delivery"):
        Ses().read_webhook(MESSAGES[0]["Message"].encode())


@pytest.fixture
def validator(monkeypatch: pytest.MonkeyPatch) -> Iterator[SNSMessageValidator]:
    """An independent validator, which gets the certificate that the vectors are signed by."""

    class Served:
        content = VECTORS["certificate"].encode()

    made = SNSMessageValidator()
    monkeypatch.setattr(made._cert_session, "get", lambda *_, **__: Served())
    yield made
    made._cert_session.close()


@pytest.mark.parametrize("message", [each for each in MESSAGES if each["SignatureVersion"] == "1"])
def test_an_independent_validator_accepts_ours(
    validator: SNSMessageValidator, notary: Notary, message: dict[str, Any]
) -> None:
    fresh = message | {"MessageId": "fresh"}
    fresh["Signature"] = notary.sign(fresh)
    validator.validate_message(fresh)
    with pytest.raises(SignatureVerificationFailureException):
        validator.validate_message(fresh | {"Message": "altered"})
