"""What Infobip reports and forwards, judged by the models of its official SDK."""

from datetime import UTC, datetime

import msgspec
import pytest
from infobip_api_client.models.sms_delivery_result import SmsDeliveryResult

from services.sms_sender.providers.infobip import Infobip
from shared.events.states import ContactState
from shared.sender.errors import ErrorKind
from shared.sender.provider import (
    InboundReply,
    StatusReceipt,
    UnreadableWebhookError,
)

REFERENCE = "0" * 32 + "-1-20261122-00ff00ff00ff00ff"
REPORT = {
    "bulkId": "BULK-1",
    "price": {"pricePerMessage": 0.01, "currency": "EUR"},
    "status": {
        "id": 5,
        "groupId": 3,
        "groupName": "DELIVERED",
        "name": "DELIVERED_TO_HANDSET",
        "description": "Message delivered to handset",
    },
    "error": {
        "id": 0,
        "name": "NO_ERROR",
        "description": "No Error",
        "groupId": 0,
        "groupName": "OK",
        "permanent": False,
    },
    "messageId": "MESSAGE-1",
    "doneAt": "2026-11-22T09:58:20.337+0000",
    "messageCount": 1,
    "sentAt": "2026-11-22T09:58:20.323+0000",
    "to": "5511987654321",
    "callbackData": REFERENCE,
    "platform": {"entityId": "entity-1", "applicationId": "application-1"},
    "sender": "551140000001",
}
INBOUND = {
    "messageId": "IN-1",
    "from": "5511987654321",
    "to": "551140000001",
    "text": "Já paguei 👍",
    "cleanText": "Já paguei 👍",
    "keyword": "",
    "receivedAt": "2026-11-22T10:06:20.737+0000",
    "smsCount": 1,
    "price": {"pricePerMessage": 0, "currency": "EUR"},
    "callbackData": "callbackData",
}


def webhook(*results: dict[str, object]) -> bytes:
    return msgspec.json.encode({"results": results})


def test_a_report_of_the_documentation() -> None:
    assert SmsDeliveryResult.from_json(webhook(REPORT).decode()) is not None
    (event,) = Infobip().read_webhook(webhook(REPORT))
    assert event == StatusReceipt(
        provider_ref="MESSAGE-1",
        provider_word="DELIVERED_TO_HANDSET",
        state=ContactState.DELIVERED,
        provider_at=datetime(2026, 11, 22, 9, 58, 20, 337_000, UTC),
        our_reference=REFERENCE,
    )


@pytest.mark.parametrize(
    ("group", "name", "state"),
    [
        ("PENDING", "PENDING_ACCEPTED", ContactState.ACCEPTED),
        ("PENDING", "PENDING_ENROUTE", ContactState.SENT),
        ("PENDING", "PENDING_NEW", ContactState.SENT),
        ("DELIVERED", "DELIVERED_TO_OPERATOR", ContactState.SENT),
        ("EXPIRED", "EXPIRED_EXPIRED", ContactState.UNDELIVERED),
        ("EXPIRED", "EXPIRED_DLR_UNKNOWN", None),
        ("REJECTED", "REJECTED_DND", ContactState.UNDELIVERED),
        ("BRAND_NEW", "BRAND_NEW", None),
    ],
)
def test_statuses(group: str, name: str, state: ContactState | None) -> None:
    status = {"groupId": 1, "groupName": group, "id": 1, "name": name}
    (event,) = Infobip().read_webhook(webhook({**REPORT, "status": status}))
    assert isinstance(event, StatusReceipt)
    assert (event.provider_word, event.state) == (name, state)


@pytest.mark.parametrize(
    ("group", "kind"),
    [
        ("HANDSET_ERRORS", ErrorKind.RECIPIENT_UNREACHABLE),
        ("OPERATOR_ERRORS", ErrorKind.RECIPIENT_UNREACHABLE),
        ("USER_ERRORS", ErrorKind.REJECTED),
        ("NEW_ERRORS", ErrorKind.REJECTED),
    ],
)
def test_an_unknown_error_is_its_groups(group: str, kind: ErrorKind) -> None:
    status = {"groupId": 2, "groupName": "UNDELIVERABLE", "id": 9, "name": "UNDELIVERABLE_NEW"}
    error = {"groupId": 1, "groupName": group, "id": 4_242, "name": "EC_BRAND_NEW"}
    (event,) = Infobip().read_webhook(webhook({**REPORT, "status": status, "error": error}))
    assert isinstance(event, StatusReceipt)
    assert (event.code, event.error) == ("EC_BRAND_NEW", kind)


def test_reports_and_replies_of_one_webhook_are_told_apart() -> None:
    body = webhook(REPORT, INBOUND, {**REPORT, "messageId": "MESSAGE-2", "callbackData": None})
    first, reply, second = Infobip().read_webhook(body)
    assert isinstance(first, StatusReceipt)
    assert isinstance(second, StatusReceipt)
    assert second.our_reference is None
    assert reply == InboundReply(
        provider_ref="IN-1",
        from_address="+5511987654321",
        to_address="+551140000001",
        text="Já paguei 👍",
        provider_at=datetime(2026, 11, 22, 10, 6, 20, 737_000, UTC),
    )


def test_one_bad_result_does_not_spoil_its_company() -> None:
    body = webhook(REPORT, {"messageId": "x"}, INBOUND)
    good = bad = 0
    for part in Infobip().split(body):
        try:
            good += len(Infobip().read_webhook(part))
        except UnreadableWebhookError:
            bad += 1
    assert (good, bad) == (2, 1)


def test_a_repeated_result_is_the_same_bytes_in_any_company() -> None:
    alone, together = Infobip().split(webhook(REPORT)), Infobip().split(webhook(INBOUND, REPORT))
    assert alone[0] == together[1]


@pytest.mark.parametrize(
    "result",
    [
        {**REPORT, "messageId": "a b"},
        {**REPORT, "messageId": 7},
        {**REPORT, "status": {"name": "drop table;", "groupName": "x"}},
        {**INBOUND, "text": None},
        {**INBOUND, "from": None},
        {},
    ],
)
def test_results_that_make_no_sense_are_unreadable(result: dict[str, object]) -> None:
    with pytest.raises(UnreadableWebhookError):
        Infobip().read_webhook(webhook(result))
