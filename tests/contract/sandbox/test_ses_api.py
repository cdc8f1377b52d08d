"""SES in the sandbox, judged by Amazon's own client (botocore) and its model of the API."""

import base64
from collections.abc import Callable, Iterator
from contextlib import closing
from email.message import EmailMessage
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from services.email_sender.providers.ses.signing import signed_headers
from tests.support.sandbox import Sandbox
from tests.support.ses_account import KEY_ID, REGION, SECRET, amazons_client, registration

SENDER = "Loja <no-reply@example.com>"
DEBTOR = "joana@example.net"
PATH = "/v2/email/outbound-emails"


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with closing(Sandbox()) as made:
        made.control("POST", "/sandbox/behaviour", {"preset": "silent"})
        yield made


@pytest.fixture
def registered(running: Sandbox) -> Callable[..., None]:
    """Return a function that registers the account, with changes."""

    def register(**changes: Any) -> None:
        running.control("POST", "/sandbox/accounts", registration(**changes))

    register()
    return register


@pytest.fixture(scope="module")
def made(running: Sandbox) -> Iterator[Any]:
    with closing(amazons_client(running.url)) as client:
        yield client


@pytest.fixture
def client(made: Any, registered: Callable[..., None]) -> Any:
    """Amazon's client, and the account as it is without changes."""
    del registered
    return made


def raw(sender: str = SENDER, to: str = DEBTOR) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, "Olá"
    message.set_content("Sua parcela vence amanhã.")
    return message.as_bytes()


def request(**changes: Any) -> dict[str, Any]:
    content = {"Raw": {"Data": raw()}}
    destination = {"ToAddresses": [DEBTOR]}
    return {"Content": content, "Destination": destination} | changes


def simple(**changes: Any) -> dict[str, Any]:
    message: dict[str, Any] = {
        "Subject": {"Data": "Olá", "Charset": "UTF-8"},
        "Body": {"Text": {"Data": "Sua parcela"}, "Html": {"Data": "<p>Sua parcela</p>"}},
        "Headers": [{"Name": "List-Unsubscribe", "Value": "<https://example.com/u>"}],
    }
    fields = {"FromEmailAddress": SENDER, "Content": {"Simple": message | changes}}
    return request() | fields


@pytest.mark.parametrize("fields", [request(), simple(), simple(Headers=[])])
def test_a_mail_is_accepted(client: Any, running: Sandbox, fields: dict[str, Any]) -> None:
    contact = "0123456789abcdef0123456789abcdef"
    tag = {"Name": "reference", "Value": f"{contact}-1-20261122-0123456789abcdef"}
    answer = client.send_email(**fields, ConfigurationSetName="reminders", EmailTags=[tag])
    (line,) = [line for line in running.truth() if line.get("message_sid") == answer["MessageId"]]
    assert line["kind"] == "accepted"
    assert line["contact_id"].replace("-", "") == contact
    assert answer["ResponseMetadata"]["RequestId"]


def test_the_account_can_be_read(client: Any) -> None:
    answer = client.get_account()
    assert answer["ProductionAccessEnabled"] is True
    assert answer["SendQuota"]["MaxSendRate"] > 0


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        (request(ConfigurationSetName="none"), "NotFoundException"),
        (request(Content={"Raw": {"Data": raw("a@elsewhere.org")}}), "MessageRejected"),
        (request(FromEmailAddress="a@elsewhere.org"), "MessageRejected"),
        (request(Content={"Raw": {"Data": b"From: a@example.com"}}), "BadRequestException"),
        (request(Content={"Raw": {"Data": b"Subject: b\r\n" + raw()}}), "BadRequestException"),
        (request(Content={"Raw": {"Data": b"Subject: b\r\n\r\nx"}}), "BadRequestException"),
        (request(Content={"Raw": {"Data": raw() + b"x" * 1_001}}), "BadRequestException"),
        (request(Content={"Raw": {"Data": raw()}, **simple()["Content"]}), "BadRequestException"),
        (request(Content={"Template": {"TemplateName": "t"}}), "NotFoundException"),
        (request(Content={}), "BadRequestException"),
        (request(Destination={"ToAddresses": ["nobody"]}), "BadRequestException"),
        (request(Destination={"ToAddresses": ["a b@example.net"]}), "BadRequestException"),
        (request(Destination={"ToAddresses": ["ação@example.net"]}), "BadRequestException"),
        (request(Destination={"ToAddresses": [DEBTOR] * 51}), "BadRequestException"),
        (request(EmailTags=[{"Name": "a b", "Value": "x"}]), "BadRequestException"),
        (request(EmailTags=[{"Name": "a", "Value": "é"}]), "BadRequestException"),
        (request(EmailTags=[{"Name": "a", "Value": "x" * 257}]), "BadRequestException"),
        (request(EmailTags=[{"Name": "a", "Value": "x"}] * 2), "BadRequestException"),
        (simple(Subject={"Data": "a\r\nBcc: b@example.net"}), "BadRequestException"),
        (simple(Body={}), "BadRequestException"),
        (simple(Headers=[{"Name": "X", "Value": "é"}]), "BadRequestException"),
    ],
)
def test_what_amazon_refuses_is_refused(client: Any, fields: dict[str, Any], error: str) -> None:
    with pytest.raises(getattr(client.exceptions, error)):
        client.send_email(**fields)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"suspended": True}, "AccountSuspendedException"),
        ({"sending_enabled": False}, "SendingPausedException"),
        ({"day_quota": 0}, "LimitExceededException"),
        ({"production": False}, "MessageRejected"),
    ],
)
def test_an_account_that_may_not_send_is_told_so(
    client: Any, registered: Callable[..., None], changes: dict[str, Any], error: str
) -> None:
    registered(**changes)
    with pytest.raises(getattr(client.exceptions, error)):
        client.send_email(**request())


def test_a_verified_recipient_may_be_written_to_before_production(
    client: Any, registered: Callable[..., None]
) -> None:
    registered(production=False, identities=["example.com", DEBTOR])
    assert client.send_email(**request())["MessageId"]


def test_too_fast_is_refused_and_no_wait_is_named(
    client: Any, registered: Callable[..., None]
) -> None:
    registered(rate_per_second=1.0)
    client.send_email(**request())
    with pytest.raises(client.exceptions.TooManyRequestsException) as caught:
        client.send_email(**request())
    assert "Maximum sending rate exceeded" in str(caught.value)
    assert "retry-after" not in caught.value.response["ResponseMetadata"]["HTTPHeaders"]


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"secret": "another"}, "InvalidSignatureException"),
        ({"region": "eu-west-1"}, "InvalidSignatureException"),
        ({"key_id": "AKIDEXAMPLENOBODY"}, "UnrecognizedClientException"),
        ({"aws_session_token": "unasked"}, "UnrecognizedClientException"),
    ],
)
def test_who_cannot_sign_is_refused(
    running: Sandbox, registered: Callable[..., None], keys: dict[str, Any], code: str
) -> None:
    del registered
    with (
        closing(amazons_client(running.url, **keys)) as client,
        pytest.raises(ClientError) as caught,
    ):
        client.send_email(**request())
    assert caught.value.response["Error"]["Code"] == code


def test_temporary_keys_need_their_token(running: Sandbox, registered: Callable[..., None]) -> None:
    registered(session_token="temporary")
    with closing(amazons_client(running.url, aws_session_token="temporary")) as client:
        assert client.send_email(**request())["MessageId"]
    with closing(amazons_client(running.url)) as client, pytest.raises(ClientError):
        client.send_email(**request())


def send_by_hand(sandbox: Sandbox, body: bytes, **headers: str) -> httpx.Response:
    keys = {"access_key_id": KEY_ID, "secret_access_key": SECRET}
    signed = signed_headers(sandbox.url + PATH, BODY, REGION, keys)
    return httpx.post(sandbox.url + PATH, content=body, headers=signed | headers)


BODY = (
    b'{"Content":{"Raw":{"Data":"' + base64.b64encode(raw()) + b'"}}}'  # recipients: its headers'
)


def test_our_own_signature_is_right(running: Sandbox, registered: Callable[..., None]) -> None:
    del registered
    assert send_by_hand(running, BODY).status_code == 200


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (BODY + b" ", {}, "InvalidSignatureException"),
        (BODY, {"content-type": "text/plain"}, "InvalidSignatureException"),
        (BODY, {"x-amz-extra": "unsigned"}, "InvalidSignatureException"),
        (BODY, {"X-Amz-Date": "20260101T000000Z"}, "InvalidSignatureException"),
        (BODY, {"X-Amz-Date": "yesterday"}, "IncompleteSignatureException"),
        (BODY, {"Authorization": "AWS4-HMAC-SHA256 x"}, "IncompleteSignatureException"),
        (BODY, {"Authorization": ""}, "MissingAuthenticationTokenException"),
    ],
)
def test_whatever_is_altered_after_signing_is_refused(
    running: Sandbox,
    registered: Callable[..., None],
    body: bytes,
    headers: dict[str, str],
    code: str,
) -> None:
    del registered
    answer = send_by_hand(running, body, **headers)
    assert answer.status_code == 403
    assert answer.headers["x-amzn-errortype"].startswith(f"{code}:")


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"Content":3}', b"\xff"])
def test_what_is_no_request_is_refused(
    running: Sandbox, registered: Callable[..., None], body: bytes
) -> None:
    del registered
    keys = {"access_key_id": KEY_ID, "secret_access_key": SECRET}
    headers = signed_headers(running.url + PATH, body, REGION, keys)
    answer = httpx.post(running.url + PATH, content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.headers["x-amzn-errortype"].startswith("SerializationException:")


def test_other_operations_are_unknown(client: Any) -> None:
    with pytest.raises(ClientError) as caught:
        client.list_email_identities()
    assert caught.value.response["Error"]["Code"] == "UnknownOperationException"
