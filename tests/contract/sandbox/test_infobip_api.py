"""The sandbox's Infobip, judged by Infobip's own SDK: as client, and as reader of its webhooks."""

import base64
from collections.abc import Iterator

import httpx
import pytest
from infobip_api_client.api.sms_api import SmsApi
from infobip_api_client.api_client import ApiClient
from infobip_api_client.configuration import Configuration
from infobip_api_client.exceptions import (
    ApiException,
    BadRequestException,
    NotFoundException,
    ServiceException,
    UnauthorizedException,
)
from infobip_api_client.models.sms_delivery_report import SmsDeliveryReport
from infobip_api_client.models.sms_delivery_result import SmsDeliveryResult
from infobip_api_client.models.sms_inbound_message_result import SmsInboundMessageResult
from infobip_api_client.models.sms_request import SmsRequest
from infobip_api_client.models.sms_response_details import SmsResponseDetails

from tests.support.sandbox import Receiver, Sandbox, eventually

KEY, USER, PASSWORD = "key-1", "user-1", "password-1"
SENDER, DEBTOR = "551140000001", "5511987654321"
PATH = "/sms/3/messages"


@pytest.fixture(scope="module")
def hooks() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(scope="module")
def running_infobip(hooks: Receiver) -> Iterator[Sandbox]:
    made = Sandbox()
    account = {
        "provider": "infobip", "id": "main", "api_key": KEY, "senders": [SENDER],
        "webhook_url": f"{hooks.url}/hooks", "webhook_user": USER, "webhook_password": PASSWORD,
    }  # fmt: skip
    made.control("POST", "/sandbox/accounts", account)
    yield made
    made.close()


@pytest.fixture
def infobip(running_infobip: Sandbox, hooks: Receiver) -> Sandbox:
    """The sandbox with debtors who never answer, no faults, and nothing on its way."""
    eventually(lambda: drained(running_infobip))
    running_infobip.control("DELETE", "/sandbox/faults")
    running_infobip.control("POST", "/sandbox/behaviour", {"preset": "silent"})
    hooks.hooks.clear()
    return running_infobip


@pytest.fixture
def api(infobip: Sandbox) -> SmsApi:
    """The official SDK, pointed at the sandbox."""
    return SmsApi(ApiClient(Configuration(host=infobip.url, api_key=KEY)))


def drained(sandbox: Sandbox) -> bool:
    return not any(sandbox.control("GET", "/v1/progress")["pending"].values())


def a_request(*to: str, **message: object) -> SmsRequest:
    fields: dict[str, object] = {
        "sender": SENDER,
        "destinations": [{"to": each} for each in to or (DEBTOR,)],
        "content": {"text": "Olá"},
        "webhooks": {"delivery": {"intermediateReport": True}, "callbackData": "data-1"},
    }
    made = SmsRequest.from_dict({"messages": [fields | message]})
    assert made is not None
    return made


def send(api: SmsApi, request: SmsRequest) -> list[SmsResponseDetails]:
    answer = api.send_sms_messages(request)
    assert answer.bulk_id
    return answer.messages


def reports(hooks: Receiver) -> list[SmsDeliveryReport]:
    """Every report so far, as the SDK reads it."""
    found = []
    for hook in list(hooks.hooks):
        read = SmsDeliveryResult.from_json(hook.body.decode())
        assert read is not None
        found += read.results or []
    return found


def test_accepted_and_reported(api: SmsApi, infobip: Sandbox, hooks: Receiver) -> None:
    (sent,) = send(api, a_request(DEBTOR))
    assert sent.status is not None
    assert (sent.status.group_name, sent.status.id) == ("PENDING", 26)
    assert sent.destination == DEBTOR
    assert sent.details is not None
    assert sent.details.message_count == 1
    eventually(lambda: drained(infobip))
    told = reports(hooks)
    assert [each.status.name for each in told if each.status] == [
        "PENDING_ENROUTE",
        "DELIVERED_TO_HANDSET",
    ]
    for each in told:
        assert (each.message_id, each.to, each.sender) == (sent.message_id, DEBTOR, SENDER)
        assert each.callback_data == "data-1"
        assert each.error is not None
        assert (each.error.group_name, each.error.permanent) == ("OK", False)
        assert each.done_at is not None
    proof = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    assert {hook.headers["authorization"] for hook in hooks.hooks} == {proof}


def test_many_reports_travel_together(api: SmsApi, infobip: Sandbox, hooks: Receiver) -> None:
    people = [f"55119{n:08d}" for n in range(50)]
    sent = send(api, a_request(*people))
    assert [each.destination for each in sent] == people
    eventually(lambda: drained(infobip))
    told = reports(hooks)
    assert len(told) == 2 * len(people)
    assert len(hooks.hooks) < len(told) / 5
    delivered = {each.to for each in told if each.status and each.status.id == 5}
    assert delivered == set(people)


def test_each_message_of_a_bulk_is_judged_by_itself(api: SmsApi, infobip: Sandbox) -> None:
    sent = send(api, a_request("5511987654322", "551132654321", "12"))
    assert [each.status.name for each in sent if each.status] == [
        "PENDING_ACCEPTED",
        "REJECTED_DESTINATION",  # a fixed line
        "REJECTED_DESTINATION",
    ]
    kinds = [line["kind"] for line in infobip.truth() if line["kind"] != "callback"][-6:]
    assert kinds == ["request", "accepted", "request", "refused", "request", "refused"]


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ({"sender": "unregistered"}, "REJECTED_SOURCE"),
        ({"content": {"text": "x" * 4_001}}, "REJECTED_MESSAGE_TOO_LONG"),
        ({"destinations": [{"to": ""}]}, "MISSING_TO"),
        ({"destinations": [{"to": "not a number"}]}, "REJECTED_DESTINATION"),
    ],
)
def test_rejections(api: SmsApi, message: dict[str, object], name: str) -> None:
    (sent,) = send(api, a_request(**message))
    assert sent.status is not None
    assert (sent.status.name, sent.status.group_name) == (name, "REJECTED")


def test_a_message_id_is_taken_once(api: SmsApi, infobip: Sandbox, hooks: Receiver) -> None:
    request = a_request(destinations=[{"to": DEBTOR, "messageId": "mine-1"}])
    assert [each.message_id for each in send(api, request)] == ["mine-1"]
    (again,) = send(api, request)
    assert again.status is not None
    assert again.status.name == "REJECTED_DUPLICATE_MESSAGE_ID"
    eventually(lambda: drained(infobip))
    assert len(reports(hooks)) == 2


@pytest.mark.parametrize(
    ("text", "parts"), [("a" * 160, 1), ("a" * 161, 2), ("ã" * 71, 2), ("你好" * 36, 2)]
)
def test_parts_are_counted(api: SmsApi, text: str, parts: int) -> None:
    (sent,) = send(api, a_request(content={"text": text}))
    assert sent.details is not None
    assert sent.details.message_count == parts


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{}",
        b'{"messages":[]}',
        b'{"messages":[{"destinations":[],"content":{"text":"x"}}]}',
        b'{"messages":[{"destinations":[{"to":"1"}]}]}',
        b'{"messages":[{"destinations":[{"to":5511}],"content":{"text":"x"}}]}',
    ],
)
def test_malformed_requests(infobip: Sandbox, body: bytes) -> None:
    headers = {"Authorization": f"App {KEY}", "Content-Type": "application/json"}
    answer = httpx.post(infobip.url + PATH, content=body, headers=headers)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "E400")
    assert answer.json()["violations"]


def test_the_sdk_reads_our_errors(api: SmsApi, infobip: Sandbox) -> None:
    with pytest.raises(BadRequestException) as refused:
        send(api, a_request(webhooks={"callbackData": "x" * 4_000}, destinations=[]))
    assert getattr(refused.value.data, "error_code", None) == "E400"
    stranger = SmsApi(ApiClient(Configuration(host=infobip.url, api_key="wrong")))
    with pytest.raises(UnauthorizedException) as forbidden:
        send(stranger, a_request())
    assert getattr(forbidden.value.data, "error_code", None) == "E401"
    infobip.control("POST", "/sandbox/faults", {"kind": "error_500_before", "times": 1})
    with pytest.raises(ServiceException):
        send(api, a_request())
    infobip.control("POST", "/sandbox/faults", {"kind": "throttle_429", "times": 1})
    with pytest.raises(ApiException) as throttled:
        send(api, a_request())
    assert throttled.value.status == 429
    lost = SmsApi(ApiClient(Configuration(host=f"{infobip.url}/sms", api_key=KEY)))
    with pytest.raises(NotFoundException):
        send(lost, a_request())


def test_replies_are_read_by_the_sdk(api: SmsApi, infobip: Sandbox, hooks: Receiver) -> None:
    person = "5511955554444"
    send(api, a_request(person))
    eventually(lambda: drained(infobip))
    hooks.hooks.clear()
    body = {"recipient": f"+{person}", "text": "Já paguei 👍"}
    infobip.control("POST", "/sandbox/replies", body)
    eventually(lambda: drained(infobip))
    (hook,) = hooks.hooks
    read = SmsInboundMessageResult.from_json(hook.body.decode())
    assert read is not None
    (message,) = read.results or []
    assert (message.var_from, message.to, message.text) == (person, SENDER, "Já paguei 👍")
    assert message.received_at is not None


def test_a_url_of_the_message_comes_before_the_subscription(
    api: SmsApi, infobip: Sandbox, hooks: Receiver
) -> None:
    delivery = {"url": f"{hooks.url}/mine", "intermediateReport": False}
    send(api, a_request("5511955553333", webhooks={"delivery": delivery}))
    eventually(lambda: drained(infobip))
    (hook,) = hooks.hooks
    assert hook.path == "/mine"
    assert "authorization" not in hook.headers


def test_unreachable_people_are_reported_with_their_error(
    api: SmsApi, infobip: Sandbox, hooks: Receiver
) -> None:
    infobip.control(
        "POST", "/sandbox/behaviour",
        {"preset": "silent", "undelivered": 1.0, "undelivered_codes": {"30005": 1}},
    )  # fmt: skip
    send(api, a_request("5511955552222"))
    eventually(lambda: drained(infobip))
    last = reports(hooks)[-1]
    assert last.status is not None
    assert last.error is not None
    assert last.status.group_name == "UNDELIVERABLE"
    assert (last.error.name, last.error.permanent) == ("EC_UNKNOWN_SUBSCRIBER", True)
