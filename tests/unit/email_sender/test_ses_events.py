"""What SES's event records mean, in the shape of the published examples."""

import base64
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from services.email_sender.providers.ses.events import BOUNCES, read_record
from shared.events.states import ContactState
from shared.sender.errors import ErrorKind
from shared.sender.provider import (
    InboundReply,
    StatusReceipt,
    UnreadableWebhookError,
    WebhookEvent,
)

MESSAGE_ID = "EXAMPLE7c191be45-e9aedb9a-02f9-4d12-a87d-dd0099a07f8a-000000"
REFERENCE = f"{'0a' * 16}-1-20261122-0123456789abcdef"
AT = "2026-11-22T12:40:02.012Z"
MAIL: dict[str, Any] = {
    "timestamp": AT,
    "source": "Loja <no-reply@example.com>",
    "sendingAccountId": "123456789012",
    "messageId": MESSAGE_ID,
    "destination": ["Maria@example.net"],
    "headersTruncated": False,
    "headers": [{"name": "From", "value": "no-reply@example.com"}],
    "commonHeaders": {"subject": "Olá"},
    "tags": {"ses:configuration-set": ["reminders"], "reference": [REFERENCE]},
}


def read(kind: str, name: str = "", detail: object = None, **mail: Any) -> list[WebhookEvent]:
    record: dict[str, Any] = {"eventType": kind, "mail": MAIL | mail}
    if name:
        record[name] = detail
    return list(read_record(msgspec.json.encode(record).decode()))


def receipt(kind: str, name: str = "", detail: object = None, **mail: Any) -> StatusReceipt:
    (event,) = read(kind, name, detail, **mail)
    assert isinstance(event, StatusReceipt)
    return event


def bounced(kind: str, subtype: str, *actions: str | None) -> StatusReceipt:
    recipients = [{"emailAddress": "maria@example.net", "action": each} for each in actions]
    detail = {
        "bounceType": kind,
        "bounceSubType": subtype,
        "bouncedRecipients": recipients,
        "timestamp": AT,
    }
    return receipt("Bounce", "bounce", detail)


@pytest.mark.parametrize(
    ("kind", "name", "detail", "state"),
    [
        ("Send", "send", {}, ContactState.ACCEPTED),
        ("Delivery", "delivery", {"timestamp": AT, "recipients": []}, ContactState.DELIVERED),
        ("Reject", "reject", {"reason": "Bad content"}, ContactState.UNDELIVERED),
        ("Rendering Failure", "failure", {"errorMessage": "x"}, ContactState.UNDELIVERED),
        ("Click", "click", {"timestamp": AT, "link": "https://example.com"}, ContactState.READ),
        ("BrandNewKind", "brandNewKind", {"x": 1}, None),
    ],
)
def test_each_kind_has_its_state(
    kind: str, name: str, detail: object, state: ContactState | None
) -> None:
    told = receipt(kind, name, detail)
    assert (told.provider_ref, told.our_reference) == (MESSAGE_ID, REFERENCE)
    assert (told.state, told.provider_word) == (state, kind)
    assert told.complained_by is None


def test_the_time_is_the_providers() -> None:
    told = receipt("Delivery", "delivery", {"timestamp": AT})
    assert told.provider_at == datetime(2026, 11, 22, 12, 40, 2, 12_000, tzinfo=UTC)
    for given in ("yesterday", "2026-11-22T12:40:02", ""):
        assert receipt("Delivery", "delivery", {"timestamp": given}).provider_at is None


@pytest.mark.parametrize(
    ("kind", "subtype", "error"),
    [
        ("Permanent", "General", ErrorKind.RECIPIENT_INVALID),
        ("Permanent", "NoEmail", ErrorKind.RECIPIENT_INVALID),
        ("Permanent", "Suppressed", ErrorKind.RECIPIENT_INVALID),
        ("Permanent", "OnAccountSuppressionList", ErrorKind.RECIPIENT_INVALID),
        ("Permanent", "UnsubscribedRecipient", ErrorKind.RECIPIENT_OPTED_OUT),
        ("Permanent", "BrandNew", ErrorKind.RECIPIENT_INVALID),
        ("Transient", "General", ErrorKind.RECIPIENT_UNREACHABLE),
        ("Transient", "MailboxFull", ErrorKind.RECIPIENT_UNREACHABLE),
        ("Transient", "CustomTimeoutExceeded", ErrorKind.RECIPIENT_UNREACHABLE),
        ("Transient", "MessageTooLarge", ErrorKind.CONTENT_REFUSED),
        ("Transient", "ContentRejected", ErrorKind.CONTENT_REFUSED),
        ("Transient", "AttachmentRejected", ErrorKind.CONTENT_REFUSED),
        ("Undetermined", "Undetermined", ErrorKind.RECIPIENT_UNREACHABLE),
        ("BrandNew", "", ErrorKind.REJECTED),
    ],
)
def test_a_bounce_says_why(kind: str, subtype: str, error: ErrorKind) -> None:
    told = bounced(kind, subtype, "failed")
    assert (told.state, told.error) == (ContactState.UNDELIVERED, error)
    assert told.code == f"{kind}:{subtype}".rstrip(":")
    assert told.provider_word == f"Bounce:{kind}:{subtype}".rstrip(":")


def test_every_cause_of_the_table_is_told() -> None:
    for cause, error in BOUNCES.items():
        assert bounced(*cause.partition(":")[::2]).error is error


@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed", "expanded"])
def test_a_report_that_nothing_failed_moves_nothing(action: str) -> None:
    told = bounced("Transient", "General", action)
    assert (told.state, told.error) == (None, None)
    assert bounced("Permanent", "General", action).state is ContactState.UNDELIVERED


def test_a_delay_is_no_failure() -> None:
    told = receipt("DeliveryDelay", "deliveryDelay", {"delayType": "MailboxFull", "timestamp": AT})
    assert (told.state, told.error) == (ContactState.ACCEPTED, None)
    assert told.provider_word == "DeliveryDelay:MailboxFull"


def test_a_complaint_names_who_complained_as_we_wrote_them() -> None:
    told = receipt("Complaint", "complaint", {"complaintFeedbackType": "abuse", "timestamp": AT})
    assert (told.state, told.complained_by) == (ContactState.DELIVERED, "Maria@example.net")
    assert told.provider_word == "Complaint:abuse"
    unnamed = receipt("Complaint", "complaint", {"complaintFeedbackType": None})
    assert unnamed.complained_by == "Maria@example.net"


def test_a_complaint_taken_back_is_none() -> None:
    told = receipt("Complaint", "complaint", {"complaintFeedbackType": "not-spam"})
    assert (told.state, told.complained_by) == (ContactState.DELIVERED, None)


def test_a_mail_that_an_earlier_complaint_stopped_was_not_delivered() -> None:
    told = receipt("Complaint", "complaint", {"complaintSubType": "OnAccountSuppressionList"})
    assert (told.state, told.error) == (
        ContactState.UNDELIVERED,
        ErrorKind.RECIPIENT_OPTED_OUT,
    )
    assert told.complained_by is None


@pytest.mark.parametrize(
    ("agent", "state"),
    [
        ("Mozilla/5.0 (Linux; Android 16) Mobile", ContactState.READ),
        (None, ContactState.READ),
        ("Mozilla/5.0", ContactState.DELIVERED),
    ],
)
def test_what_a_machine_opened_was_not_read(agent: str | None, state: ContactState) -> None:
    assert receipt("Open", "open", {"userAgent": agent, "timestamp": AT}).state is state


def test_an_identitys_own_notification_has_no_tags() -> None:
    mail = {name: value for name, value in MAIL.items() if name != "tags"}
    record = {
        "notificationType": "Bounce",
        "bounce": {"bounceType": "Permanent", "bounceSubType": "General"},
        "mail": mail,
    }
    (told,) = read_record(msgspec.json.encode(record).decode())
    assert isinstance(told, StatusReceipt)
    assert (told.provider_ref, told.our_reference) == (MESSAGE_ID, None)
    assert told.error is ErrorKind.RECIPIENT_INVALID


def test_unsubscribing_is_an_opt_out() -> None:
    preferences: dict[str, Any] = {"unsubscribeAll": True, "topicSubscriptionStatus": []}
    (reply,) = read("Subscription", "subscription", {"newTopicPreferences": preferences})
    assert isinstance(reply, InboundReply)
    assert (reply.from_address, reply.button) == ("Maria@example.net", "opt_out")
    assert reply.our_reference == REFERENCE
    topic = {"topicName": "reminders", "subscriptionStatus": "OptOut"}
    preferences = {"unsubscribeAll": False, "topicSubscriptionStatus": [topic]}
    assert read("Subscription", "subscription", {"newTopicPreferences": preferences})
    topic["subscriptionStatus"] = "OptIn"  # codespell:ignore optin
    assert not read("Subscription", "subscription", {"newTopicPreferences": preferences})


def test_a_mail_to_several_names_nobody() -> None:
    several = {"destination": ["a@example.net", "b@example.net"]}
    assert receipt("Complaint", "complaint", {}, **several).complained_by is None


@pytest.mark.parametrize("tag", ["x'; --", "a b", "é", "x" * 91, ""])
def test_a_strange_reference_is_not_used(tag: str) -> None:
    assert receipt("Send", "send", {}, tags={"reference": [tag]}).our_reference is None
    assert receipt("Send", "send", {}, tags={"reference": []}).our_reference is None


def test_strange_words_are_kept_short_and_plain() -> None:
    told = receipt("Novo\r\nTipo\x00 " + "x" * 200)
    assert told.provider_word.startswith("Novo??Tipo? x")
    assert len(told.provider_word) == 64


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "Olá",
        '{"eventType":"Send"}',
        '{"eventType":"Send","mail":{"messageId":3}}',
        '{"eventType":"Send","mail":{"messageId":"a b"}}',
        '{"mail":{"messageId":"EXAMPLE7c191be45"}}',
        '{"eventType":"Send","mail":{"messageId":"EXAMPLE7c191be45","tags":{"a":"b"}}}',
        '{"eventType":"Bounce","mail":{"messageId":"EXAMPLE7c191be45"},"bounce":7}',
        '{"eventType":"Received","mail":{"messageId":"EXAMPLE7c191be45"}}',
    ],
)
def test_what_is_no_record_is_unreadable(text: str) -> None:
    with pytest.raises(UnreadableWebhookError) as caught:
        read_record(text)
    assert "@" not in str(caught.value)


def test_the_greeting_of_a_new_destination_is_nothing() -> None:
    text = "Successfully validated SNS topic for Amazon SES event publishing."
    assert not read_record(text)


@pytest.mark.parametrize("encoding", ["UTF8", "BASE64"])
def test_an_answer_that_ses_received(encoding: str) -> None:
    to = f"r-{REFERENCE}@returns.example.com"
    raw = (
        f"From: Maria <maria@example.net>\r\nTo: {to}\r\nSubject: Re: Lembrete\r\n"
        "Message-ID: <1@example.net>\r\n\r\nJá paguei\r\n\r\n> SAIR\r\n"
    )
    content = base64.b64encode(raw.encode()).decode() if encoding == "BASE64" else raw
    reply = _received(to, content, encoding, "PASS")
    assert (reply.from_address, reply.text) == ("maria@example.net", "Já paguei")
    assert reply.our_reference == REFERENCE


@pytest.mark.parametrize("verdict", ["FAIL", "GRAY", "PROCESSING_FAILED", None])
@pytest.mark.parametrize(
    ("words", "believed"), [("Já paguei", ""), ("Número errado", ""), ("SAIR", "maria@example.net")]
)
def test_a_name_in_from_proves_nothing_but_a_wish_to_be_left_alone(
    words: str, believed: str, verdict: str | None
) -> None:
    """Else anybody could promise, pay or be the wrong person in a debtor's name."""
    raw = f"From: Maria <maria@example.net>\r\nSubject: Re: Lembrete\r\n\r\n{words}\r\n"
    reply = _received("cobranca@example.com", raw, "UTF8", verdict)
    assert (reply.from_address, reply.text) == (believed, words)


def _received(to: str, content: str, encoding: str, verdict: str | None) -> InboundReply:
    receipt = {"recipients": [to], "action": {"type": "SNS", "encoding": encoding}}
    record = {
        "notificationType": "Received",
        "mail": {"messageId": MESSAGE_ID, "source": "maria@example.net", "destination": [to]},
        "receipt": receipt | ({"dmarcVerdict": {"status": verdict}} if verdict else {}),
        "content": content,
    }
    (reply,) = read_record(msgspec.json.encode(record).decode())
    assert isinstance(reply, InboundReply)
    return reply
