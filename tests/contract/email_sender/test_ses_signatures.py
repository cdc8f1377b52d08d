"""Signatures of Amazon SNS: ours judged by independent validators, and theirs by us."""

import base64
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import aiohttp
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sns_message_validator import SNSMessageValidator
from sns_message_validator.exceptions import SignatureVerificationFailureException

from deploy.sandbox.ses_notifications import Notary
from services.email_sender.providers.ses import Ses
from shared.sender.calls import new_client
from shared.sender.provider import UnreadableWebhookError
from tests.support.sns import (
    MESSAGES,
    SENT,
    TOPIC,
    VECTORS,
    Amazon,
    is_genuine,
    request,
    served_by,
)

NAMES = [f"{each['Type']}-{each['SignatureVersion']}-{len(each)}" for each in MESSAGES]

each_message = pytest.mark.parametrize("message", MESSAGES, ids=NAMES)


@pytest.fixture
async def amazon() -> AsyncIterator[Amazon]:
    async with Amazon.running() as made:
        yield made


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with new_client(4, 1.0, 1.0) as made:
        yield made


@pytest.fixture(scope="module")
def notary() -> Notary:
    key = load_pem_private_key(VECTORS["key"].encode(), None)
    assert isinstance(key, RSAPrivateKey)
    return Notary(key)


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
