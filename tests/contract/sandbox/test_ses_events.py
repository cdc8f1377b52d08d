"""SES in the sandbox tells what happened: over a confirmed topic, signed, in SES's records."""

from collections.abc import Iterator
from contextlib import closing
from itertools import count
from typing import Any

import httpx
import msgspec
import pytest
from cryptography import x509
from sns_message_validator import SNSMessageValidator

from services.email_sender.providers.ses.events import read_record
from shared.events.states import ContactState
from shared.sender.errors import ErrorKind
from shared.sender.provider import InboundReply, StatusReceipt
from tests.support.sandbox import Receiver, Sandbox, eventually
from tests.support.ses_account import KEY_ID, TOPIC, amazons_client, registration

PLACE = "/webhooks/ses/acme/main"

_numbers = count(1)


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with closing(Receiver()) as made:
        yield made


@pytest.fixture(scope="module")
def running(receiver: Receiver) -> Iterator[Sandbox]:
    with closing(Sandbox()) as made:
        made.control("POST", "/sandbox/behaviour", {"preset": "silent", "callback_retry_ms": [20]})
        register(made, receiver, confirmed=True)
        yield made


def register(sandbox: Sandbox, receiver: Receiver, *, confirmed: bool, **changes: Any) -> Any:
    account = registration(
        origin=sandbox.url,
        subscriptions=[{"endpoint": receiver.url + PLACE, "confirmed": confirmed}],
    )
    return sandbox.control("POST", "/sandbox/accounts", account | changes)


@pytest.fixture(scope="module")
def client(running: Sandbox) -> Iterator[Any]:
    with closing(amazons_client(running.url)) as made:
        yield made


def send(client: Any, to: str | None = None, **fields: Any) -> str:
    body = {"Text": {"Data": "Sua parcela"}, "Html": {"Data": "<p>Sua parcela</p>"}}
    request: dict[str, Any] = {
        "FromEmailAddress": "Loja <no-reply@example.com>",
        "Destination": {"ToAddresses": [to or f"rui.{next(_numbers)}@example.net"]},
        "Content": {"Simple": {"Subject": {"Data": "Lembrete"}, "Body": body}},
        "ConfigurationSetName": "reminders",
        "EmailTags": [{"Name": "reference", "Value": "ours-1"}],
    }
    return str(client.send_email(**request | fields)["MessageId"])


def records(receiver: Receiver, sid: str | None = None) -> list[dict[str, Any]]:
    """Event records in order of arrival."""
    envelopes = [msgspec.json.decode(hook.body) for hook in list(receiver.hooks)]
    found = [
        msgspec.json.decode(each["Message"]) for each in envelopes if each["Type"] == "Notification"
    ]
    return [each for each in found if sid is None or each["mail"]["messageId"] == sid]


def told(receiver: Receiver, sid: str, number: int) -> list[StatusReceipt]:
    """What our adapter understands of the first so many events of a mail."""
    eventually(lambda: len(records(receiver, sid)) >= number)
    found = []
    for each in records(receiver, sid):
        (event,) = read_record(msgspec.json.encode(each).decode())
        assert isinstance(event, StatusReceipt)
        found.append(event)
    return found


def test_an_endpoint_hears_nothing_before_it_has_confirmed(
    running: Sandbox, receiver: Receiver, client: Any
) -> None:
    receiver.hooks.clear()
    assert register(running, receiver, confirmed=False)["confirmed"] == [False]
    (hook,) = eventually(lambda: list(receiver.hooks))
    asked = msgspec.json.decode(hook.body)
    assert hook.headers["x-amz-sns-message-type"] == asked["Type"] == "SubscriptionConfirmation"
    assert hook.headers["content-type"] == "text/plain; charset=UTF-8"
    send(client)
    eventually(lambda: not any(running.control("GET", "/v1/progress")["pending"].values()))
    assert len(receiver.hooks) == 1
    wrong = asked["SubscribeURL"].replace(asked["Token"], "guessed")
    assert httpx.get(wrong).status_code == 400
    assert httpx.get(asked["SubscribeURL"]).status_code == 200
    (mine,) = [
        each
        for each in running.control("GET", "/sandbox/accounts")["accounts"]
        if each.get("access_key_id") == KEY_ID
    ]
    assert mine["confirmed"] == [True]
    sid = send(client)
    assert [each.provider_word for each in told(receiver, sid, 2)] == ["Send", "Delivery"]


def test_an_endpoint_that_is_to_confirm_must_be_told_where(
    running: Sandbox, receiver: Receiver
) -> None:
    with pytest.raises(httpx.HTTPStatusError) as caught:
        register(running, receiver, confirmed=False, origin=None)
    assert "origin" in caught.value.response.json()["detail"]


def test_an_independent_validator_accepts_what_is_posted(
    running: Sandbox, receiver: Receiver, client: Any
) -> None:
    register(running, receiver, confirmed=True)
    receiver.hooks.clear()
    sid = send(client)
    eventually(lambda: len(records(receiver, sid)) == 2)
    validator = SNSMessageValidator(cert_url_regex=f"^{running.url}/")
    for hook in receiver.hooks:
        envelope = msgspec.json.decode(hook.body)
        validator.validate_message(envelope)
        assert hook.headers["x-amz-sns-topic-arn"] == envelope["TopicArn"] == TOPIC
        assert hook.headers["x-amz-sns-message-id"] == envelope["MessageId"]
        assert "x-amz-sns-subscription-arn" in hook.headers
    validator._cert_session.close()
    served = httpx.get(msgspec.json.decode(receiver.hooks[0].body)["SigningCertURL"]).content
    assert "sns.amazonaws.com" in x509.load_pem_x509_certificate(served).subject.rfc4514_string()
    assert httpx.get(f"{running.url}/SimpleNotificationService-00.pem").status_code == 404


def test_a_record_carries_tags_headers_and_the_way(
    running: Sandbox, receiver: Receiver, client: Any
) -> None:
    register(running, receiver, confirmed=True)
    sid = send(client, "ana@example.net")
    eventually(lambda: len(records(receiver, sid)) == 2)
    record = records(receiver, sid)[1]
    assert record["eventType"] == "Delivery"
    assert record["mail"]["destination"] == ["ana@example.net"]
    assert record["mail"]["tags"]["reference"] == ["ours-1"]
    assert record["mail"]["tags"]["ses:configuration-set"] == ["reminders"]
    assert record["mail"]["commonHeaders"]["subject"] == "Lembrete"
    assert record["delivery"]["recipients"] == ["ana@example.net"]


def test_without_a_configuration_set_nothing_is_told(
    running: Sandbox, receiver: Receiver, client: Any
) -> None:
    register(running, receiver, confirmed=True)
    quiet = client.send_email(
        FromEmailAddress="no-reply@example.com",
        Destination={"ToAddresses": ["rui@example.net"]},
        Content={"Simple": {"Subject": {"Data": "x"}, "Body": {"Text": {"Data": "x"}}}},
    )["MessageId"]
    eventually(lambda: not any(running.control("GET", "/v1/progress")["pending"].values()))
    assert not records(receiver, quiet)


@pytest.mark.parametrize(
    ("name", "words", "state"),
    [
        ("success", ["Send", "Delivery"], ContactState.DELIVERED),
        ("bounce", ["Send", "Bounce:Permanent:General"], ContactState.UNDELIVERED),
        ("suppressionlist", ["Send", "Bounce:Permanent:Suppressed"], ContactState.UNDELIVERED),
        ("complaint+1", ["Send", "Complaint:abuse"], ContactState.DELIVERED),
    ],
)
def test_the_mailbox_simulator(
    running: Sandbox,
    receiver: Receiver,
    client: Any,
    name: str,
    words: list[str],
    state: ContactState,
) -> None:
    register(running, receiver, confirmed=True)
    sid = send(client, f"{name}@simulator.amazonses.com")
    receipts = told(receiver, sid, 2)
    assert [each.provider_word for each in receipts] == words
    assert receipts[-1].state is state
    assert bool(receipts[-1].complained_by) == name.startswith("complaint")


def test_suppressed_addresses_are_accepted_and_bounce(
    running: Sandbox, receiver: Receiver, client: Any
) -> None:
    register(running, receiver, confirmed=True, suppressed=["gone@example.net"])
    sid = send(client, "gone@example.net")
    assert told(receiver, sid, 2)[-1].code == "Permanent:OnAccountSuppressionList"


@pytest.mark.parametrize(
    ("status", "word", "state", "error"),
    [
        ("DeliveryDelay", "DeliveryDelay:MailboxFull", ContactState.ACCEPTED, None),
        ("Reject", "Reject", ContactState.UNDELIVERED, ErrorKind.CONTENT_REFUSED),
        ("Click", "Click", ContactState.READ, None),
        ("read", "Open", ContactState.READ, None),
        ("machine", "Open", ContactState.DELIVERED, None),
        ("not-spam", "Complaint:not-spam", ContactState.DELIVERED, None),
        (
            "suppressed",
            "Complaint:OnAccountSuppressionList",
            ContactState.UNDELIVERED,
            ErrorKind.RECIPIENT_OPTED_OUT,
        ),
    ],
)
def test_every_event_can_be_scripted(
    running: Sandbox,
    receiver: Receiver,
    client: Any,
    status: str,
    word: str,
    state: ContactState,
    error: ErrorKind | None,
) -> None:
    register(running, receiver, confirmed=True)
    sid = send(client)
    told(receiver, sid, 2)
    running.control("POST", "/sandbox/receipts", {"message_sid": sid, "status": status})
    last = told(receiver, sid, 3)[-1]
    assert (last.provider_word, last.state, last.error) == (word, state, error)


def test_a_mail_without_html_or_tracking_is_never_opened(
    running: Sandbox, receiver: Receiver, client: Any
) -> None:
    register(running, receiver, confirmed=True, tracking=False)
    sid = send(client)
    told(receiver, sid, 2)
    running.control("POST", "/sandbox/receipts", {"message_sid": sid, "status": "read"})
    eventually(lambda: not any(running.control("GET", "/v1/progress")["pending"].values()))
    assert len(records(receiver, sid)) == 2


def test_unsubscribing_by_sess_own_link(running: Sandbox, receiver: Receiver, client: Any) -> None:
    register(running, receiver, confirmed=True)
    sid = send(client, "lia@example.net")
    told(receiver, sid, 2)
    running.control("POST", "/sandbox/receipts", {"message_sid": sid, "status": "Subscription"})
    record = eventually(lambda: records(receiver, sid)[2:])[0]
    (reply,) = read_record(msgspec.json.encode(record).decode())
    assert isinstance(reply, InboundReply)
    assert (reply.from_address, reply.button) == ("lia@example.net", "opt_out")
