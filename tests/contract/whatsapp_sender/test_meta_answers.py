"""What Meta's answers mean, case by case: its documented bodies, and what mangles them."""

from typing import Any

import msgspec
import pytest

from services.whatsapp_sender.message import Approved, ReplyButton, WhatsAppMessage
from services.whatsapp_sender.providers.meta import Meta
from services.whatsapp_sender.providers.meta.answers import read_send_answer
from services.whatsapp_sender.providers.meta.codes import CODES, KIND_OF_CODE, kind_of
from services.whatsapp_sender.providers.meta.names import names_of
from services.whatsapp_sender.providers.meta.request import body_of
from shared.sender.errors import ErrorKind
from shared.sender.provider import Accepted, Refused, SendResult, Unknown

WAMID = "wamid.HBgLMTY1MDUwNzY1MjAVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA"


def answered(status: int, body: object, **headers: str) -> SendResult:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return read_send_answer(status, raw, {k.replace("_", "-"): v for k, v in headers.items()})


def failure(code: int, **more: Any) -> dict[str, Any]:
    return {"error": {"message": f"(#{code}) x", "type": "OAuthException", "code": code, **more}}


def success(**contact: str) -> dict[str, Any]:
    return {
        "messaging_product": "whatsapp",
        "contacts": [{"input": "5531987654321", **contact}],
        "messages": [{"id": WAMID, "message_status": "accepted"}],
    }


def test_accepted_tells_the_names_of_the_person() -> None:
    result = answered(200, success(wa_id="553187654321", user_id="BR.1349120865530"))
    assert isinstance(result, Accepted)
    assert result.provider_ref == WAMID
    assert set(result.other_addresses) == {"+5531987654321", "+553187654321", "BR.1349120865530"}
    assert "5531" not in repr(result)


@pytest.mark.parametrize("word", ["held_for_quality_assessment", "paused"])
def test_a_message_that_is_held_was_accepted(word: str) -> None:
    body = {"messages": [{"id": WAMID, "message_status": word}]}
    assert isinstance(answered(200, body), Accepted)


@pytest.mark.parametrize(
    ("status", "code", "kind", "wait"),
    [
        (400, 130429, ErrorKind.NUMBER_THROTTLED, None),
        (400, 131048, ErrorKind.NUMBER_THROTTLED, 900.0),
        (400, 131056, ErrorKind.RECIPIENT_THROTTLED, 6.0),
        (400, 131026, ErrorKind.RECIPIENT_UNREACHABLE, None),
        (400, 131047, ErrorKind.POLICY_REFUSED, None),
        (400, 131049, ErrorKind.RECIPIENT_UNREACHABLE, None),
        (400, 131050, ErrorKind.RECIPIENT_OPTED_OUT, None),
        (400, 132000, ErrorKind.CONTENT_REFUSED, None),
        (404, 132001, ErrorKind.CONTENT_REFUSED, None),
        (400, 132015, ErrorKind.CONTENT_REFUSED, None),
        (401, 190, ErrorKind.BAD_CREDENTIALS, None),
        (403, 200, ErrorKind.BAD_CREDENTIALS, None),
        (403, 299, ErrorKind.BAD_CREDENTIALS, None),
        (401, 104, ErrorKind.BAD_CREDENTIALS, None),
        (500, 131045, ErrorKind.ACCOUNT_SETTINGS, None),
        (400, 131042, ErrorKind.NO_FUNDS, None),
        (400, 131016, ErrorKind.PROVIDER_BUSY, None),
        (400, 424242, ErrorKind.REJECTED, None),
        (429, 424242, ErrorKind.THROTTLED, None),
    ],
)
def test_a_documented_refusal_is_certain(
    status: int, code: int, kind: ErrorKind, wait: float | None
) -> None:
    result = answered(status, failure(code))
    assert isinstance(result, Refused)
    assert (result.error.kind, result.error.code) == (kind, str(code))
    assert result.error.retry_after_seconds == wait


def test_an_unknown_number_is_a_matter_of_settings() -> None:
    result = answered(400, failure(100, error_subcode=33))
    assert isinstance(result, Refused)
    assert result.error.kind is ErrorKind.ACCOUNT_SETTINGS


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry_After": "7"}, 7.0),
        (
            {
                "X_Business_Use_Case_Usage": '{"1":[{"type":"whatsapp","call_count":100,'
                '"estimated_time_to_regain_access":19}]}'
            },
            1_140.0,
        ),
        ({"X_Business_Use_Case_Usage": '{"1":[{"estimated_time_to_regain_access":0}]}'}, None),
        ({"X_Business_Use_Case_Usage": "garbled"}, None),
        ({"X_Business_Use_Case_Usage": '{"1":[{"estimated_time_to_regain_access":"x"}]}'}, None),
        ({"Retry_After": "1e400"}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    result = answered(400, failure(80007), **headers)
    assert isinstance(result, Refused)
    assert result.error.kind is ErrorKind.THROTTLED
    assert result.error.retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, failure(131000)),
        (500, failure(131016)),
        (503, failure(2)),
        (502, b"<html>bad gateway</html>"),
        (400, b"<html>"),
        (400, {"error": {"code": "190"}}),
        (400, {"error": None}),
        (302, b""),
        (408, failure(131026)),
        (200, b""),
        (200, b'{"messages":[]}'),
        (200, b'{"messages":[{"id":42}]}'),
        (200, {"messages": [{"id": "not one of theirs"}]}),
        (200, {"messages": [{"id": WAMID}, {"id": WAMID}]}),
        (200, {"success": True}),
    ],
)
def test_what_proves_nothing_is_unknown(status: int, body: object) -> None:
    assert isinstance(answered(status, body), Unknown)


@pytest.mark.parametrize("status", [401, 403, 429])
def test_some_statuses_speak_for_themselves(status: int) -> None:
    assert isinstance(answered(status, b"<html>"), Refused)


def test_no_code_means_two_things() -> None:
    codes = [code for each in CODES.values() for code in each]
    assert len(codes) == len(set(codes)) == len(KIND_OF_CODE)
    assert kind_of(250) is ErrorKind.BAD_CREDENTIALS


@pytest.mark.parametrize(
    ("phone", "first", "also"),
    [
        ("553187654321", "+5531987654321", "+553187654321"),  # Brazil's ninth digit
        ("5511987654321", "+5511987654321", "+551187654321"),
        ("551133334444", "+551133334444", None),  # a fixed line has none
        ("5215512345678", "+525512345678", "+5215512345678"),  # Mexico's old 1
        ("12025550143", "+12025550143", None),
    ],
)
def test_two_spellings_of_one_number(phone: str, first: str, also: str | None) -> None:
    names = names_of(phone)
    assert names[0] == first
    assert also is None or also in names


@pytest.mark.parametrize("phone", ["", "abc", "0123456789", "1" * 16, "+", "5511987654321; DROP"])
def test_what_is_no_number_is_no_name(phone: str) -> None:
    assert names_of(phone, ("not an id", "")) == ()


def test_a_template_is_asked_for_with_its_buttons() -> None:
    message = WhatsAppMessage(
        to="+5511987654321",
        text="Olá Maria",
        approved=Approved(name="reminder", language="pt_BR", parameters=("Maria",)),
        buttons=(ReplyButton(kind="promise", title="Prometo pagar"),),
    )
    assert msgspec.json.decode(body_of(message, "ref-1")) == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "5511987654321",
        "type": "template",
        "template": {
            "name": "reminder",
            "language": {"policy": "deterministic", "code": "pt_BR"},
            "components": [
                {"type": "body", "parameters": [{"type": "text", "text": "Maria"}]},
                {
                    "type": "button",
                    "sub_type": "quick_reply",
                    "index": "0",
                    "parameters": [{"type": "payload", "payload": "promise:ref-1"}],
                },
            ],
        },
        "biz_opaque_callback_data": "ref-1",
    }


def test_a_person_without_a_number_is_a_recipient() -> None:
    body = msgspec.json.decode(body_of(WhatsAppMessage(to="BR.123", text="Olá"), ""))
    assert body["recipient"] == "BR.123"
    assert "to" not in body
    assert body["text"] == {"preview_url": False, "body": "Olá"}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"phone_number_id": "106540352242922"}, None),
        ({"phone_number_id": "106540352242922", "messaging_tier": "TIER_2K"}, None),
        ({"phone_number_id": "106540352242922", "graph_version": "v26.0"}, None),
        ({}, "phone_number_id"),
        ({"phone_number_id": "+5511"}, "phone_number_id"),
        ({"phone_number_id": "106540352242922", "messaging_tier": "2000"}, "messaging_tier"),
        ({"phone_number_id": "106540352242922", "graph_version": "25"}, "graph_version"),
        ({"phone_number_id": "106540352242922", "reply_to": "x"}, "reply_to"),
    ],
)
def test_options_are_checked(options: dict[str, str], names: str | None) -> None:
    wrong = Meta().check_options(options)
    assert (wrong is None) == (names is None)
    assert names is None or f"options.{names}" in str(wrong)
