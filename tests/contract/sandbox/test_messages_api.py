"""The Messages API, judged by Twilio's own SDK as client and signature verifier."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from tests.contract.sandbox.conftest import DEBTOR, NUMBER, SID, SIGNATURE, TOKEN, Receiver
from tests.support.sandbox import Sandbox

Eventually = Callable[[Callable[[], Any]], Any]
PATH = f"/2010-04-01/Accounts/{SID}/Messages.json"
GOOD = {"To": DEBTOR, "From": NUMBER, "Body": "Olá"}


def test_create_fetch_and_list(client: Client, receiver: Receiver, eventually: Eventually) -> None:
    made = client.messages.create(
        to=DEBTOR,
        from_=NUMBER,
        body="Olá, sua parcela vence amanhã",
        status_callback=f"{receiver.url}/status?a=1&c=2",
        validity_period=3_600,
    )
    assert re.fullmatch("SM[0-9a-f]{32}", made.sid or "")
    assert (made.status, made.direction, made.account_sid) == ("queued", "outbound-api", SID)
    assert (made.to, made.from_, made.num_segments) == (DEBTOR, NUMBER, "1")
    assert made.date_created is not None
    assert made.error_code is None
    eventually(lambda: made.fetch().status == "delivered")
    assert made.fetch().date_sent is not None
    assert made.sid in {message.sid for message in client.messages.list(to=DEBTOR, limit=5)}
    assert client.messages.list(to="+5511900000000") == []


def test_listing_pages(client: Client) -> None:
    to = "+5511912121212"
    sids = [client.messages.create(to=to, from_=NUMBER, body=str(n)).sid for n in range(5)]
    assert [m.sid for m in client.messages.list(to=to, page_size=2)] == sids[::-1]


def test_listing_by_date_sent(client: Client, eventually: Eventually) -> None:
    made = client.messages.create(to="+5511913131313", from_=NUMBER, body="x")
    sent = eventually(lambda: made.fetch().date_sent)
    assert client.messages.list(to=made.to, date_sent=sent)
    assert client.messages.list(to=made.to, date_sent_after=sent)
    assert client.messages.list(to=made.to, date_sent_before=sent.replace(year=2020)) == []


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"To": None}, 400, 21604),
        ({"To": "not a number"}, 400, 21211),
        ({"To": "+0123456789"}, 400, 21211),
        ({"To": "+15005550001"}, 400, 21211),
        ({"From": None}, 400, 21603),
        ({"From": "+15017120000"}, 400, 21606),
        ({"To": NUMBER}, 400, 21266),
        ({"Body": None}, 400, 21602),
        ({"Body": ""}, 400, 21602),
        ({"Body": "x" * 1_601}, 400, 21617),
        ({"ValidityPeriod": "0"}, 400, 21624),
        ({"ValidityPeriod": "36001"}, 400, 21624),
        ({"ValidityPeriod": "soon"}, 400, 21624),
        ({"StatusCallback": "nowhere"}, 400, 21609),
        ({"StatusCallback": "http://with space/"}, 400, 21609),
    ],
)
def test_refusals(raw: httpx.Client, change: dict[str, str | None], status: int, code: int) -> None:
    form = {k: v for k, v in {**GOOD, **change}.items() if v is not None}
    answer = raw.post(PATH, data=form)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["status"] == status
    assert answer.json()["more_info"].endswith(str(code))
    assert answer.json()["message"]


def test_longest_body_and_unknown_parameters_are_taken(raw: httpx.Client) -> None:
    form = {**GOOD, "Body": "x" * 1_600, "RiskCheck": "disable", "SmartEncoded": "true"}
    assert raw.post(PATH, data=form).status_code == 201


def test_the_sdk_reads_our_errors(client: Client) -> None:
    with pytest.raises(TwilioRestException) as refused:
        client.messages.create(to=DEBTOR, from_="+15017120000", body="x")
    assert (refused.value.status, refused.value.code) == (400, 21606)


@pytest.mark.parametrize("token", ["wrong", ""])
def test_wrong_token(sandbox: Sandbox, token: str) -> None:
    answer = httpx.post(sandbox.url + PATH, data=GOOD, auth=(SID, token))
    assert (answer.status_code, answer.json()["code"]) == (401, 20003)
    assert "www-authenticate" in answer.headers
    assert httpx.post(sandbox.url + PATH, data=GOOD).status_code == 401


def test_only_forms_are_taken(raw: httpx.Client) -> None:
    assert raw.post(PATH, json=GOOD).status_code == 415


def test_what_is_not_there(raw: httpx.Client) -> None:
    missing = PATH.replace(".json", "/SM" + "0" * 32 + ".json")
    assert raw.get(missing).json()["code"] == 20404
    assert raw.put(PATH).json()["code"] == 20004
    assert raw.get(PATH.replace("Messages", "Calls")).json()["code"] == 20404


def test_status_callbacks_carry_twilios_fields_and_signature(
    client: Client, receiver: Receiver, eventually: Eventually
) -> None:
    url = f"{receiver.url}/status/one?a=A1&c=C1&d=D1&s=00ff"
    made = client.messages.create(to=DEBTOR, from_=NUMBER, body="Olá", status_callback=url)
    sid = made.sid or ""
    eventually(lambda: receiver.told(sid) == ["sent", "delivered"])
    validator = RequestValidator(TOKEN)
    for hook in [h for h in receiver.hooks if h.fields["MessageSid"] == sid]:
        assert hook.url == url
        assert validator.validate(url, hook.fields, hook.headers[SIGNATURE])
        assert not validator.validate(url + "&x=1", hook.fields, hook.headers[SIGNATURE])
        assert not validator.validate(url, {**hook.fields, "To": "+1"}, hook.headers[SIGNATURE])
        assert hook.fields["SmsSid"] == sid
        assert hook.fields["SmsStatus"] == hook.fields["MessageStatus"]
        assert (hook.fields["To"], hook.fields["From"]) == (DEBTOR, NUMBER)
        assert hook.fields["AccountSid"] == SID
        assert hook.fields["ApiVersion"] == "2010-04-01"
        assert ("RawDlrDoneDate" in hook.fields) == (hook.fields["MessageStatus"] == "delivered")


def test_undelivered_carries_its_code(
    sandbox: Sandbox, client: Client, receiver: Receiver, eventually: Eventually
) -> None:
    sandbox.control(
        "POST", "/sandbox/behaviour",
        {"preset": "silent", "undelivered": 1.0, "undelivered_codes": {"30006": 1}},
    )  # fmt: skip
    made = client.messages.create(
        to="+5511914141414", from_=NUMBER, body="x", status_callback=f"{receiver.url}/u"
    )
    eventually(lambda: receiver.told(made.sid or "") == ["sent", "undelivered"])
    assert receiver.hooks[-1].fields["ErrorCode"] == "30006"
    assert made.fetch().error_code == 30006


def test_stop_blocks_the_pair_and_start_frees_it(
    sandbox: Sandbox, client: Client, receiver: Receiver, eventually: Eventually
) -> None:
    to = "+5511915151515"
    client.messages.create(to=to, from_=NUMBER, body="Pague hoje")
    sandbox.control("POST", "/sandbox/replies", {"recipient": to, "text": " stop "})
    hook = eventually(lambda: next((h for h in receiver.hooks if h.fields["From"] == to), None))
    assert hook.path == "/inbound"
    assert hook.fields["Body"] == " stop "
    assert hook.fields["SmsStatus"] == "received"
    assert (hook.fields["NumMedia"], hook.fields["FromCountry"]) == ("0", "BR")
    assert RequestValidator(TOKEN).validate(hook.url, hook.fields, hook.headers[SIGNATURE])
    with pytest.raises(TwilioRestException) as refused:
        client.messages.create(to=to, from_=NUMBER, body="Pague hoje")
    assert refused.value.code == 21610
    sandbox.control("POST", "/sandbox/replies", {"recipient": to, "text": "START"})
    assert client.messages.create(to=to, from_=NUMBER, body="Olá").status == "queued"


def test_portuguese_words_are_ours_to_understand(sandbox: Sandbox, client: Client) -> None:
    to = "+5511916161616"
    client.messages.create(to=to, from_=NUMBER, body="Pague hoje")
    sandbox.control("POST", "/sandbox/replies", {"recipient": to, "text": "SAIR"})
    assert client.messages.create(to=to, from_=NUMBER, body="Pague hoje").status == "queued"


def test_failed_callbacks_are_tried_again_and_given_up(
    sandbox: Sandbox, client: Client, receiver: Receiver, eventually: Eventually
) -> None:
    sandbox.control("POST", "/sandbox/behaviour", {"preset": "silent", "callback_retry_ms": [5, 5]})
    receiver.statuses[:] = [500, 503, 204]
    made = client.messages.create(
        to=DEBTOR, from_=NUMBER, body="x", status_callback=f"{receiver.url}/again"
    )
    eventually(lambda: receiver.told(made.sid or "") == ["sent"] * 3 + ["delivered"])
    receiver.statuses[:] = [500] * 6
    lost = client.messages.create(
        to=DEBTOR, from_=NUMBER, body="x", status_callback=f"{receiver.url}/never"
    )
    eventually(lambda: receiver.told(lost.sid or "") == ["sent"] * 3 + ["delivered"] * 3)
    eventually(lambda: not any(sandbox.control("GET", "/v1/progress")["pending"].values()))
    fate = [line for line in sandbox.truth() if line.get("message_sid") == lost.sid]
    assert [line.get("attempts") for line in fate] == [None, 3, 3]


def test_receiver_that_is_not_there(
    sandbox: Sandbox, client: Client, eventually: Eventually
) -> None:
    made = client.messages.create(
        to=DEBTOR, from_=NUMBER, body="x", status_callback="http://127.0.0.1:9/none"
    )
    eventually(lambda: made.fetch().status == "delivered")
    eventually(lambda: not any(sandbox.control("GET", "/v1/progress")["pending"].values()))


def test_an_account_may_be_slow(sandbox: Sandbox, raw: httpx.Client) -> None:
    slow = "AC" + "f" * 32
    numbers = [{"number": "+15017120001"}]
    sandbox.control(
        "POST", "/sandbox/accounts",
        {"sid": slow, "token": "t", "numbers": numbers, "rate_per_second": 2},
    )  # fmt: skip
    url = f"{sandbox.url}{PATH.replace(SID, slow)}"
    form = {**GOOD, "From": "+15017120001"}
    codes = [raw.post(url, data=form, auth=(slow, "t")).status_code for _ in range(4)]
    assert codes[:2] == [201, 201]
    assert 429 in codes
