"""Certificates and subscriptions of Amazon SNS: what we fetch, from where, and how often."""

from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest

from services.email_sender.providers.ses import Ses
from services.email_sender.providers.ses.certificates import FETCHES_MAX
from services.email_sender.providers.ses.notifications import read_envelope, worth_checking
from shared.sender.calls import new_client
from shared.sender.provider import KeyUnavailableError
from tests.support.sns import MESSAGES, SENT, Amazon, account, is_genuine, request, served_by


@pytest.fixture
async def amazon() -> AsyncIterator[Amazon]:
    async with Amazon.running() as made:
        yield made


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with new_client(4, 1.0, 1.0) as made:
        yield made


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
