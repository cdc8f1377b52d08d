"""Meta's webhooks as its pages show them (names replaced), and as strangers write them."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.whatsapp_sender.providers.meta import Meta
from shared.events.states import ContactState
from shared.sender.errors import ErrorKind
from shared.sender.provider import (
    InboundReply,
    Notice,
    StatusReceipt,
    UnreadableWebhookError,
    WebhookEvent,
)

META = Meta()
WAMID = "wamid.HBgLMTY1MDUwNzY1MjAVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA"
REFERENCE = "0123456789abcdef0123456789abcdef-1-20261122-0123456789abcdef"
METADATA = {"display_phone_number": "551140000000", "phone_number_id": "106540352242922"}
PERSON = {"profile": {"name": "Maria"}, "wa_id": "553187654321", "user_id": "BR.1349120865530"}


def webhook(field: str = "messages", **value: Any) -> bytes:
    value = {"messaging_product": "whatsapp", "metadata": METADATA, **value}
    changes = [{"field": field, "value": value}]
    entry = [{"id": "102290129340398", "changes": changes}]
    return msgspec.json.encode({"object": "whatsapp_business_account", "entry": entry})


def read(body: bytes) -> list[WebhookEvent]:
    return [event for part in META.split(body) for event in META.read_webhook(part)]


def one(body: bytes) -> Any:
    (event,) = read(body)
    return event


def status(word: str = "delivered", **more: Any) -> dict[str, Any]:
    return {
        "id": WAMID,
        "status": word,
        "timestamp": "1763812800",
        "recipient_id": "553187654321",
        "biz_opaque_callback_data": REFERENCE,
        **more,
    }


def message(kind: str, **content: Any) -> dict[str, Any]:
    return {
        "from": "553187654321",
        "from_user_id": "BR.1349120865530",
        "id": WAMID,
        "timestamp": "1763812800",
        "type": kind,
        **content,
    }


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("sent", ContactState.SENT),
        ("delivered", ContactState.DELIVERED),
        ("read", ContactState.READ),
        ("played", ContactState.READ),
        ("DELIVERED", ContactState.DELIVERED),
        ("deleted", None),
        ("warning", None),
        ("some_new_word", None),
    ],
)
def test_statuses(word: str, state: ContactState | None) -> None:
    pricing = {"billable": True, "pricing_model": "PMP", "category": "utility", "type": "regular"}
    event = one(webhook(contacts=[PERSON], statuses=[status(word, pricing=pricing)]))
    assert isinstance(event, StatusReceipt)
    assert (event.provider_ref, event.provider_word) == (WAMID, word.lower())
    assert (event.state, event.error) == (state, None)
    assert event.our_reference == REFERENCE
    assert (event.category, event.billable) == ("utility", True)
    assert event.provider_at == datetime(2025, 11, 22, 12, tzinfo=UTC)
    assert "BR.1349120865530" in event.other_addresses


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (131026, ErrorKind.RECIPIENT_UNREACHABLE),
        (131047, ErrorKind.POLICY_REFUSED),
        (131049, ErrorKind.RECIPIENT_UNREACHABLE),
        (131050, ErrorKind.RECIPIENT_OPTED_OUT),
        (131053, ErrorKind.CONTENT_REFUSED),
        (777_777, ErrorKind.REJECTED),
    ],
)
def test_a_failed_status_says_why(code: int, kind: ErrorKind) -> None:
    errors = [{"code": code, "title": "t", "error_data": {"details": "d"}, "href": "h"}]
    event = one(webhook(statuses=[status("failed", errors=errors)]))
    assert (event.state, event.code, event.error) == (ContactState.UNDELIVERED, str(code), kind)


def test_a_failed_status_without_a_code() -> None:
    event = one(webhook(statuses=[status("failed")]))
    assert (event.code, event.error) == (None, ErrorKind.REJECTED)


@pytest.mark.parametrize("timestamp", [1_763_812_800, "1763812800000", 1_763_812_800_001])
def test_timestamps_come_in_several_forms(timestamp: str | int) -> None:
    event = one(webhook(statuses=[status(timestamp=timestamp)]))
    assert event.provider_at == datetime(2025, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize("timestamp", ["", "yesterday", "9" * 40, "-5"])
def test_a_senseless_timestamp_is_none(timestamp: str) -> None:
    assert one(webhook(statuses=[status(timestamp=timestamp)])).provider_at is None


@pytest.mark.parametrize(
    ("content", "text", "button", "reference"),
    [
        (message("text", text={"body": "já paguei"}), "já paguei", None, None),
        (
            message("button", button={"text": "Prometo", "payload": f"promise:{REFERENCE}"}),
            "Prometo",
            "promise",
            REFERENCE,
        ),
        (message("button", button={"text": "Sair", "payload": "Sair"}), "Sair", None, None),
        (
            message(
                "interactive",
                interactive={
                    "type": "button_reply",
                    "button_reply": {"id": f"human:{REFERENCE}", "title": "Falar"},
                },
            ),
            "Falar",
            "human",
            REFERENCE,
        ),
        (
            message(
                "interactive",
                interactive={"type": "list_reply", "list_reply": {"id": "r1", "title": "Linha"}},
            ),
            "Linha",
            None,
            None,
        ),
        (message("reaction", reaction={"message_id": WAMID, "emoji": "👍"}), "👍", None, None),
        (message("image", image={"id": "1", "caption": "segue o comprovante"}),
         "segue o comprovante", None, None),
        (message("unsupported", errors=[{"code": 131051}]), "", None, None),
    ],
)  # fmt: skip
def test_messages(
    content: dict[str, Any], text: str, button: str | None, reference: str | None
) -> None:
    event = one(webhook(contacts=[PERSON], messages=[content]))
    assert isinstance(event, InboundReply)
    assert (event.text, event.button, event.our_reference) == (text, button, reference)
    assert event.from_address == "+5531987654321"
    assert set(event.other_addresses) == {"+553187654321", "BR.1349120865530"}
    assert event.to_address == METADATA["phone_number_id"]


def test_a_message_names_the_one_that_it_quotes() -> None:
    quoted = message("text", text={"body": "este"}, context={"from": "551140000000", "id": WAMID})
    assert one(webhook(contacts=[PERSON], messages=[quoted])).answers == WAMID


def test_a_person_may_have_no_number() -> None:
    person = {"profile": {"name": "M"}, "user_id": "BR.77", "parent_user_id": "BR.ENT.88"}
    content = {
        "from_user_id": "BR.77",
        "id": WAMID,
        "timestamp": "1763812800",
        "type": "text",
        "text": {"body": "SAIR"},
    }
    event = one(webhook(contacts=[person], messages=[content]))
    assert (event.from_address, event.other_addresses) == ("BR.77", ("BR.ENT.88",))


def test_who_stops_in_whatsapp_itself_is_left_alone() -> None:
    stop = {
        "wa_id": "553187654321",
        "detail": "User requested to stop marketing messages",
        "category": "marketing_messages",
        "value": "stop",
        "timestamp": "1763812800",
    }
    body = webhook("user_preferences", contacts=[PERSON], user_preferences=[stop])
    event = one(body)
    assert isinstance(event, InboundReply)
    assert (event.button, event.from_address) == ("opt_out", "+5531987654321")
    assert event.provider_ref == one(body).provider_ref
    assert "5531" not in event.provider_ref
    resumed = webhook("user_preferences", user_preferences=[{**stop, "value": "resume"}])
    assert one(resumed) == Notice(what="user_preferences", level="resume")


@pytest.mark.parametrize(
    ("field", "value", "what", "level"),
    [
        ("phone_number_quality_update",
         {"display_phone_number": "551140000000", "event": "DOWNGRADE",
          "current_limit": "TIER_1K"}, "phone_number_quality_update", "TIER_1K"),
        ("message_template_status_update", {"event": "PAUSED", "message_template_id": 1},
         "message_template_status_update", "PAUSED"),
        ("account_update", {"event": "DISABLED_UPDATE"}, "account_update", "DISABLED_UPDATE"),
        ("message_template_quality_update", {"new_quality_score": "RED"},
         "message_template_quality_update", "RED"),
        ("something_new", {"event": "a b\nc"}, "other", ""),
    ],
)  # fmt: skip
def test_what_is_said_of_an_account_is_a_notice(
    field: str, value: dict[str, Any], what: str, level: str
) -> None:
    assert one(webhook(field, **value)) == Notice(what=what, level=level)


def test_somebody_elses_system_message_is_no_reply() -> None:
    system = message("system", system={"body": "changed", "type": "user_changed_number"})
    assert one(webhook(messages=[system])) == Notice(what="system", level="user_changed_number")


def test_one_webhook_carries_many_events_of_several_people() -> None:
    other = {"profile": {"name": "J"}, "wa_id": "12025550143", "user_id": "US.5"}
    third = status("read", id=WAMID + "3", recipient_id="12025550143")
    body = webhook(
        contacts=[PERSON, other],
        statuses=[status("sent"), status("delivered"), third],
        messages=[message("text", text={"body": "oi"})],
    )
    parts = META.split(body)
    assert len(parts) == 4
    events = read(body)
    assert [type(each).__name__ for each in events] == ["StatusReceipt"] * 3 + ["InboundReply"]
    assert getattr(events[2], "other_addresses", None) == ("+12025550143", "US.5")
    # In other company, the same event is the same bytes: it is known when it comes again.
    alone = META.split(webhook(contacts=[PERSON], statuses=[status("delivered")]))
    assert parts[1] == alone[0]


def test_a_failing_part_does_not_take_the_others_along() -> None:
    body = webhook(statuses=[status("sent"), {"id": "", "status": "sent"}, status("read")])
    parts = META.split(body)
    assert [len(META.read_webhook(parts[0])), len(META.read_webhook(parts[2]))] == [1, 1]
    with pytest.raises(UnreadableWebhookError):
        META.read_webhook(parts[1])


# Strangers.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["object", "entry", "id", "changes", "field", "value", "statuses", "messages", "status",
             "contacts", "wa_id", "from", "type", "text", "body", "errors", "code", "metadata",
             "phone_number_id", "timestamp", "user_preferences", "button", "payload", "context"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=30,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_whatever_comes_is_read_or_refused_in_words(value: object) -> None:
    for body in (msgspec.json.encode(value), webhook(statuses=value), webhook(messages=[value])):
        try:
            for part in META.split(body):
                META.read_webhook(part)
        except UnreadableWebhookError:
            continue
