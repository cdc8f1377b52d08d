"""Scripted faults on the wire, and what the truth log says about each."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from tests.contract.sandbox.conftest import DEBTOR, NUMBER, SID, Receiver
from tests.support.sandbox import Sandbox

Eventually = Callable[[Callable[[], Any]], Any]
PATH = f"/2010-04-01/Accounts/{SID}/Messages.json"
FORM = {"To": DEBTOR, "From": NUMBER, "Body": "x"}


def kinds(sandbox: Sandbox, after: int) -> list[str]:
    return [line["kind"] for line in sandbox.truth(after) if line["kind"] != "callback"]


def newest(sandbox: Sandbox) -> int:
    lines = sandbox.truth()
    return int(lines[-1]["seq"]) if lines else 0


def test_throttling_names_the_wait_and_ends(
    sandbox: Sandbox, client: Client, raw: httpx.Client
) -> None:
    after = newest(sandbox)
    fault = {"kind": "throttle_429", "match": {"first": 2}, "retry_after": 3}
    sandbox.control("POST", "/sandbox/faults", [fault])
    answer = raw.post(PATH, data=FORM)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    assert answer.json()["code"] == 20429
    with pytest.raises(TwilioRestException, match="Too Many Requests"):
        client.messages.create(to=DEBTOR, from_=NUMBER, body="x")
    assert client.messages.create(to=DEBTOR, from_=NUMBER, body="x").sid
    assert kinds(sandbox, after) == ["request", "refused"] * 2 + ["request", "accepted"]


@pytest.mark.parametrize(
    ("kind", "accepted"),
    [("error_500_before", False), ("error_500_after_acceptance", True)],
)
def test_500_before_and_after_acceptance(
    sandbox: Sandbox, raw: httpx.Client, kind: str, *, accepted: bool
) -> None:
    after = newest(sandbox)
    sandbox.control("POST", "/sandbox/faults", {"kind": kind, "times": 1})
    assert raw.post(PATH, data=FORM).status_code == 500
    assert ("accepted" in kinds(sandbox, after)) == accepted


@pytest.mark.parametrize(
    ("fault", "accepted"),
    [
        ({"kind": "timeout_before", "seconds": 0.2}, False),
        ({"kind": "timeout_after_acceptance", "seconds": 30}, True),
        ({"kind": "reset_connection"}, False),
        ({"kind": "reset_connection", "accepted": True}, True),
        ({"kind": "garbled_answer", "shape": "truncated"}, True),
    ],
)
def test_no_answer(
    sandbox: Sandbox, raw: httpx.Client, fault: dict[str, Any], *, accepted: bool
) -> None:
    after = newest(sandbox)
    sandbox.control("POST", "/sandbox/faults", {**fault, "times": 1})
    with pytest.raises(httpx.TransportError):
        raw.post(PATH, data=FORM, timeout=0.5)
    assert ("accepted" in kinds(sandbox, after)) == accepted
    assert raw.post(PATH, data=FORM).status_code == 201


@pytest.mark.parametrize("shape", ["html", "empty", "wrong_json"])
def test_garbled_answers_hide_an_acceptance(
    sandbox: Sandbox, raw: httpx.Client, shape: str
) -> None:
    after = newest(sandbox)
    fault = {"kind": "garbled_answer", "shape": shape, "times": 1}
    sandbox.control("POST", "/sandbox/faults", fault)
    answer = raw.post(PATH, data=FORM)
    assert answer.status_code == 201
    assert "sid" not in answer.text
    assert kinds(sandbox, after) == ["request", "accepted"]
    assert sandbox.truth(after)[1]["fault"] == "garbled_answer"


def test_late_answer_comes_after_its_receipts(
    sandbox: Sandbox, raw: httpx.Client, receiver: Receiver
) -> None:
    fault = {"kind": "timeout_after_acceptance", "seconds": 0.4, "times": 1}
    sandbox.control("POST", "/sandbox/faults", fault)
    form = {**FORM, "StatusCallback": f"{receiver.url}/early"}
    sid = raw.post(PATH, data=form).json()["sid"]
    assert receiver.told(sid) == ["sent", "delivered"]


def test_refusal_with_a_code_for_one_recipient(sandbox: Sandbox, raw: httpx.Client) -> None:
    fault = {"kind": "refuse", "code": 21614, "match": {"recipient": DEBTOR}}
    sandbox.control("POST", "/sandbox/faults", fault)
    assert raw.post(PATH, data=FORM).json()["code"] == 21614
    assert raw.post(PATH, data={**FORM, "To": "+5511911111111"}).status_code == 201
    assert sandbox.control("GET", "/sandbox/faults")["faults"][0]["applied"] == 1


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("duplicate_receipt", ["sent", "sent", "delivered", "delivered"]),
        ("reorder_receipts", ["delivered", "sent"]),
        ("lose_receipts", []),
        ("late_receipt", ["sent", "delivered"]),
    ],
)
def test_receipts_in_trouble(
    sandbox: Sandbox,
    client: Client,
    receiver: Receiver,
    eventually: Eventually,
    kind: str,
    told: list[str],
) -> None:
    sandbox.control("POST", "/sandbox/faults", {"kind": kind, "seconds": 0.2})
    made = client.messages.create(
        to=DEBTOR, from_=NUMBER, body="x", status_callback=f"{receiver.url}/r"
    )
    eventually(lambda: made.fetch().status == "delivered")
    eventually(lambda: not any(sandbox.control("GET", "/v1/progress")["pending"].values()))
    assert receiver.told(made.sid or "") == told


def test_senseless_faults_are_refused(sandbox: Sandbox) -> None:
    bodies: tuple[object, ...] = ({"kind": "explode"}, {"kind": "refuse", "typo": 1}, "x", 3)
    for body in bodies:
        assert sandbox.http.post("/sandbox/faults", json=body).status_code == 422
    assert sandbox.control("GET", "/sandbox/faults")["faults"] == []
