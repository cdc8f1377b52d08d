"""What we ask of Infobip and make of its words, judged by the models of its own SDK."""

import aiohttp
import msgspec
import pytest
from infobip_api_client.models.message_error_group import MessageErrorGroup
from infobip_api_client.models.message_general_status import MessageGeneralStatus
from infobip_api_client.models.sms_request import SmsRequest
from infobip_api_client.models.sms_response import SmsResponse

from services.sms_sender.message import SmsMessage
from services.sms_sender.providers.infobip import Infobip, read_send_answer, request
from services.sms_sender.providers.infobip.codes import (
    KIND_OF_NAME,
    NAMES,
    NOT_TAKEN_GROUPS,
    STATE_OF_GROUP,
    TAKEN_GROUPS,
    kind_of,
)
from shared.events.configuration import SenderAccount
from shared.sender.errors import ErrorKind
from shared.sender.provider import (
    Accepted,
    Account,
    Refused,
    Sending,
    SendResult,
    Unknown,
)

REFERENCE = "0" * 32 + "-1-20261122-00ff00ff00ff00ff"


def an_account(**options: str) -> Account:
    settings = SenderAccount(
        channel="sms", provider="infobip", sender="+551140000001", rate_per_second=1.0,
        credentials={}, options=options,
    )  # fmt: skip
    credentials = {"api_key": "k", "webhook_user": "u", "webhook_password": "p"}
    return Account(tenant_id="a", account_id="b", settings=settings, credentials=credentials)


def a_body(account: Account, seconds: int = 3_600) -> dict[str, object]:
    message = SmsMessage(to="+5511987654321", text="Olá & até já: €5 👍", segments=1)
    sending = Sending(callback_url="https://x/y", validity_seconds=seconds, reference=REFERENCE)
    return request(account, message, sending)


def answered(status: int, body: object, **headers: str) -> SendResult:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return read_send_answer(status, raw, {k.replace("_", "-"): v for k, v in headers.items()})


def an_answer(group: str, name: str, message_id: str = "MESSAGE-1") -> dict[str, object]:
    status = {"groupId": 1, "groupName": group, "id": 26, "name": name, "description": "x"}
    return {"bulkId": "1", "messages": [{"messageId": message_id, "status": status}]}


@pytest.mark.parametrize("options", [{}, {"application_id": "app", "entity_id": "tenant"}])
def test_the_sdk_knows_every_field_of_our_request(options: dict[str, str]) -> None:
    body = a_body(an_account(**options))
    read = SmsRequest.from_dict(body)
    assert read is not None
    assert read.to_dict() == body
    (message,) = read.messages
    assert message.destinations[0].to == "5511987654321"
    assert message.sender == "551140000001"
    assert message.webhooks is not None
    assert message.webhooks.callback_data == REFERENCE
    assert message.options is not None
    assert (message.options.platform is not None) == bool(options)


async def test_an_option_nobody_knows_is_named_and_nobody_asked() -> None:
    account = an_account(application="typo")
    sending = Sending(callback_url="https://x/y", validity_seconds=60, reference=REFERENCE)
    message = SmsMessage(to="+5511987654321", text="Olá", segments=1)
    async with aiohttp.ClientSession() as client:
        result = await Infobip().send(client, account, message, sending)
    assert isinstance(result, Refused)
    assert result.error.kind is ErrorKind.ACCOUNT_SETTINGS
    assert result.error.code == "settings: options.application"


def test_no_message_outlives_two_days() -> None:
    read = SmsRequest.from_dict(a_body(an_account(), seconds=10**6))
    assert read is not None
    options = read.messages[0].options
    assert options is not None
    assert options.validity_period is not None
    assert options.validity_period.amount == 48 * 3_600


def test_every_group_of_the_sdk_has_its_meaning() -> None:
    groups = {each.value for each in MessageGeneralStatus}
    assert groups == set(STATE_OF_GROUP) == TAKEN_GROUPS | NOT_TAKEN_GROUPS
    for group in MessageErrorGroup:
        assert kind_of("EC_SOMETHING_NEW", group.value) in ErrorKind


def test_every_name_has_one_kind() -> None:
    assert sum(len(names) for names in NAMES.values()) == len(KIND_OF_NAME)


@pytest.mark.parametrize(
    ("group", "name"),
    [("PENDING", "PENDING_ACCEPTED"), ("ACCEPTED", "NEW"), ("DELIVERED", "DELIVERED_TO_OPERATOR")],
)
def test_taken(group: str, name: str) -> None:
    body = an_answer(group, name)
    assert SmsResponse.from_dict(body) is not None
    assert answered(200, body) == Accepted(provider_ref="MESSAGE-1")


def test_a_message_that_is_there_already_was_accepted() -> None:
    body = an_answer("REJECTED", "REJECTED_DUPLICATE_MESSAGE_ID", REFERENCE)
    assert answered(200, body) == Accepted(provider_ref=REFERENCE)


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (200, an_answer("REJECTED", "REJECTED_DND"), ErrorKind.RECIPIENT_OPTED_OUT, "REJECTED_DND"),
        (200, an_answer("REJECTED", "BRAND_NEW"), ErrorKind.REJECTED, "BRAND_NEW"),
        (200, an_answer("REJECTED", "x y"), ErrorKind.REJECTED, "REJECTED"),
        (400, {"errorCode": "E400"}, ErrorKind.MALFORMED_REQUEST, "E400"),
        (401, {"errorCode": "E401"}, ErrorKind.BAD_CREDENTIALS, "E401"),
        (401, b"<html>", ErrorKind.BAD_CREDENTIALS, "401"),
        (403, b"", ErrorKind.BAD_CREDENTIALS, "403"),
        (404, {"errorCode": "E404"}, ErrorKind.ACCOUNT_SETTINGS, "E404"),
        (429, b"slow down", ErrorKind.THROTTLED, "429"),
        (422, {"requestError": {"serviceException": {}}}, ErrorKind.REJECTED, "requestError"),
    ],
)
def test_certain_refusals(status: int, body: object, kind: ErrorKind, code: str) -> None:
    result = answered(status, body)
    assert isinstance(result, Refused)
    assert (result.error.kind, result.error.code) == (kind, code)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {"errorCode": "E500"}),
        (503, b""),
        (302, b""),
        (400, b"<html>somebody's proxy</html>"),
        (400, {"error": "not Infobip's words"}),
        (408, {"errorCode": "E408"}),
        (200, b""),
        (200, {"messages": []}),
        (200, {"messages": [an_answer("PENDING", "X")["messages"]] * 2}),
        (200, an_answer("SOMETHING", "NEW")),
        (200, an_answer("PENDING", "PENDING_ACCEPTED", "with space")),
    ],
)
def test_what_may_have_been_accepted_is_unknown(status: int, body: object) -> None:
    assert isinstance(answered(status, body), Unknown)


@pytest.mark.parametrize(("wait", "seconds"), [("7", 7.0), ("soon", None), ("", None)])
def test_retry_after(wait: str, seconds: float | None) -> None:
    result = answered(429, {"errorCode": "E429"}, Retry_After=wait)
    assert isinstance(result, Refused)
    assert result.error.retry_after_seconds == seconds
