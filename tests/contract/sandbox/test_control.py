"""Control endpoints: keys, truth, law time followed from the platform, debtors' lives."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.sandbox.truth import recipient_digest
from tests.contract.sandbox.conftest import DEBTOR, NUMBER, SID, TOKEN, Receiver
from tests.support.sandbox import Sandbox

Eventually = Callable[[Callable[[], Any]], Any]
PATH = f"/2010-04-01/Accounts/{SID}/Messages.json"
START = datetime(2026, 3, 2, 12, tzinfo=UTC)
CLOCK_KEY = "clock-key"


class LawClock:
    """The platform's clock as the sandbox reads it."""

    def __init__(self) -> None:
        self.now = START
        self.broken = False
        clock = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                allowed = self.headers["x-api-key"] == CLOCK_KEY
                body = json.dumps({"law_now": clock.now.isoformat(), "mode": "sandbox"}).encode()
                self.send_response(503 if clock.broken else 200 if allowed else 401)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/clock"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def clock() -> Iterator[LawClock]:
    made = LawClock()
    yield made
    made.close()


@pytest.fixture
def lawful(clock: LawClock, receiver: Receiver) -> Iterator[Sandbox]:
    made = Sandbox(CLOCK_URL=clock.url, CLOCK_KEY=CLOCK_KEY)
    numbers = [{"number": NUMBER, "inbound_url": f"{receiver.url}/inbound"}]
    made.control("POST", "/sandbox/accounts", {"sid": SID, "token": TOKEN, "numbers": numbers})
    yield made
    made.close()


def send(sandbox: Sandbox, to: str = DEBTOR, **form: str) -> str:
    answer = httpx.post(
        sandbox.url + PATH,
        data={"To": to, "From": NUMBER, "Body": "Pague R$ 100,00", **form},
        auth=(SID, TOKEN),
    )
    return str(answer.raise_for_status().json()["sid"])


def drained(sandbox: Sandbox) -> dict[str, Any] | None:
    progress: dict[str, Any] = sandbox.control("GET", "/v1/progress")
    return None if any(progress["pending"].values()) else progress


def test_control_needs_the_key(sandbox: Sandbox) -> None:
    for path in ("/sandbox/truth", "/sandbox/payments", "/v1/progress", "/sandbox/nothing"):
        assert httpx.get(sandbox.url + path).status_code == 401
        wrong = {"Authorization": "Bearer wrong"}
        assert httpx.get(sandbox.url + path, headers=wrong).status_code == 401
    assert httpx.get(f"{sandbox.url}/health/live").status_code == 200
    assert sandbox.http.get("/sandbox/nothing").status_code == 404
    shown = sandbox.control("GET", "/sandbox/accounts")
    assert "token" not in json.dumps(shown)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/sandbox/accounts", b"{"),
        ("/sandbox/accounts", b'{"sid": 3}'),
        ("/sandbox/behaviour", b'{"reply": 3}'),
        ("/sandbox/behaviour", b'{"typo": 3}'),
        ("/sandbox/behaviour", b'{"preset": "wild"}'),
        ("/sandbox/replies", b'{"recipient": "+1"}'),
    ],
)
def test_senseless_control_is_refused(sandbox: Sandbox, path: str, body: bytes) -> None:
    answer = sandbox.http.post(path, content=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


def test_truth_tells_request_acceptance_and_callbacks(
    sandbox: Sandbox, receiver: Receiver, eventually: Eventually
) -> None:
    after = len(sandbox.truth())
    callback = f"{receiver.url}/t?a=attempt-1&c=contact-1&d=debtor-1&s=00"
    sid = send(sandbox, StatusCallback=callback)
    eventually(lambda: drained(sandbox))
    lines = sandbox.truth(after)
    assert [line["kind"] for line in lines] == ["request", "accepted", "callback", "callback"]
    assert [line["seq"] for line in lines] == list(range(after + 1, after + 5))
    for line in lines:
        assert (line["contact_id"], line["attempt_id"]) == ("contact-1", "attempt-1")
        assert line["debtor_id"] == "debtor-1"
        assert line["recipient"] == recipient_digest("contract", DEBTOR)
        assert datetime.fromisoformat(line["machine_at"]).tzinfo is not None
    assert lines[1]["message_sid"] == sid
    assert [line["status"] for line in lines[2:]] == ["sent", "delivered"]
    assert DEBTOR not in json.dumps(lines)


def test_stamps_are_law_time_of_the_platform(
    lawful: Sandbox, clock: LawClock, eventually: Eventually
) -> None:
    send(lawful)
    eventually(lambda: drained(lawful))
    clock.now = START + timedelta(hours=2)
    send(lawful)  # at once after the jump: the stamp must be the new time
    eventually(lambda: drained(lawful))
    stamps = [line["law_at"] for line in lawful.truth() if line["kind"] == "accepted"]
    assert [datetime.fromisoformat(s) for s in stamps] == [START, START + timedelta(hours=2)]


def test_lives_follow_law_time(
    lawful: Sandbox, clock: LawClock, receiver: Receiver, eventually: Eventually
) -> None:
    lawful.control(
        "POST", "/sandbox/behaviour",
        {"preset": "silent", "reply": 1.0, "intents": {"promise": 1}, "promise_kept": 1.0,
         "reply_seconds": [3600, 3600], "promise_days": [2, 2]},
    )  # fmt: skip
    send(lawful)
    progress = eventually(lambda: drained(lawful))
    assert datetime.fromisoformat(progress["next_due"]) == START + timedelta(hours=1)
    assert progress["counters"]["inbound"] == 0
    clock.now = START + timedelta(hours=1)
    eventually(lambda: (drained(lawful) or {"counters": {}})["counters"].get("inbound"))
    reply = receiver.hooks[-1].fields
    assert reply["From"] == DEBTOR
    assert "04/03" in reply["Body"]
    clock.now = START + timedelta(days=3)
    eventually(lambda: drained(lawful))
    payments = lawful.control("GET", "/sandbox/payments?after=0")["payments"]
    assert [(p["seq"], p["recipient"], p["reason"]) for p in payments] == [
        (1, DEBTOR, "promised")
    ]  # fmt: skip
    assert payments[0]["law_at"].startswith("2026-03-04T15:00")
    assert lawful.control("GET", "/sandbox/payments?after=1")["payments"] == []


def test_validity_expires_in_law_time(
    lawful: Sandbox, clock: LawClock, receiver: Receiver, eventually: Eventually
) -> None:
    lawful.control(
        "POST", "/sandbox/behaviour",
        {"preset": "silent", "slow": 1.0, "slow_seconds": [7200, 7200]},
    )  # fmt: skip
    sid = send(lawful, StatusCallback=f"{receiver.url}/v", ValidityPeriod="600")
    eventually(lambda: receiver.told(sid) == ["sent"] and drained(lawful))
    clock.now = START + timedelta(minutes=10)
    eventually(lambda: receiver.told(sid) == ["sent", "undelivered"])
    assert receiver.hooks[-1].fields["ErrorCode"] == "30036"


def test_clock_that_cannot_be_read_is_pending_not_guessed(lawful: Sandbox, clock: LawClock) -> None:
    clock.broken = True
    seen = len(lawful.truth())
    send(lawful)
    assert lawful.control("GET", "/v1/progress")["pending"]["clock"] == 1
    assert len(lawful.truth()) == seen
    clock.broken = False
    assert len(lawful.truth()) == seen + 2


def test_scripted_receipts_contradict(
    sandbox: Sandbox, receiver: Receiver, eventually: Eventually
) -> None:
    sid = send(sandbox, StatusCallback=f"{receiver.url}/s")
    eventually(lambda: receiver.told(sid) == ["sent", "delivered"])
    body = {"message_sid": sid, "status": "undelivered", "code": 30003}
    sandbox.control("POST", "/sandbox/receipts", body)
    eventually(lambda: receiver.told(sid) == ["sent", "delivered", "undelivered"])
    missing = {**body, "message_sid": "SM" + "0" * 32}
    assert sandbox.http.post("/sandbox/receipts", json=missing).status_code == 404


def test_truth_beyond_its_bound(tmp_path: Path, eventually: Eventually) -> None:
    for options in ((), ("--truth-file", str(tmp_path / "truth.ndjson"))):
        small = Sandbox("--truth-entries-max", "4", *options)
        small.control(
            "POST", "/sandbox/accounts",
            {"sid": SID, "token": TOKEN, "numbers": [{"number": NUMBER}]},
        )  # fmt: skip
        for _ in range(4):
            send(small)
        eventually(partial(drained, small))
        answer = small.http.get("/sandbox/truth?after=0")
        assert answer.status_code == (200 if options else 410)
        if options:
            assert len(answer.content.splitlines()) == 8
        small.close()


def test_settings_and_port(sandbox: Sandbox) -> None:
    command = [sys.executable, "-m", "deploy.sandbox", "serve"]
    bare = {k: v for k, v in os.environ.items() if k != "SANDBOX_CONTROL_KEY"}
    missing = subprocess.run(command, env=bare, capture_output=True, text=True, check=False)
    assert (missing.returncode, missing.stderr.count("\n")) == (2, 1)
    assert "SANDBOX_CONTROL_KEY" in missing.stderr
    taken = [*command, "--port", sandbox.url.rpartition(":")[2]]
    env = {**bare, "SANDBOX_CONTROL_KEY": "k"}
    busy = subprocess.run(taken, env=env, capture_output=True, text=True, check=False)
    assert (busy.returncode, busy.stderr.count("\n")) == (3, 1)
    assert "port" in busy.stderr


@pytest.mark.parametrize(
    "sent",
    [
        b"NONSENSE\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 1_100_000,
        b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"h%d: x\r\n" % n for n in range(200)) + b"\r\n",
    ],
)
def test_garbage_on_the_wire_gets_a_4xx(sandbox: Sandbox, sent: bytes) -> None:
    port = int(sandbox.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        try:
            connection.sendall(sent)
            answer = connection.recv(100)
        except ConnectionError:
            answer = b"HTTP/1.1 4"  # the answer was cut off by our own unread bytes
    assert answer.startswith(b"HTTP/1.1 4")
    assert httpx.get(f"{sandbox.url}/health/live").status_code == 200


def test_a_person_may_have_several_addresses(
    lawful: Sandbox, clock: LawClock, eventually: Eventually
) -> None:
    first, second = "+5511911110001", "+5511911110002"
    answer = lawful.http.post("/sandbox/people", json=[[first, second]])
    assert answer.status_code == 201
    lawful.control(
        "POST", "/sandbox/behaviour",
        {"preset": "silent", "pay": 1.0, "pay_seconds": [60, 60], "pay_in_part": 0},
    )  # fmt: skip
    send(lawful, second)
    send(lawful, first)
    eventually(lambda: drained(lawful))
    clock.now = START + timedelta(hours=1)
    eventually(lambda: (drained(lawful) or {"counters": {}})["counters"].get("payments"))
    payments = lawful.control("GET", "/sandbox/payments?after=0")["payments"]
    assert [payment["recipient"] for payment in payments] == [first], "they pay once"
    told = {line["recipient"] for line in lawful.truth()}
    assert told == {recipient_digest("contract", first)}


@pytest.mark.parametrize("body", [b"{}", b"[[]]", b'[["a", 3]]'])
def test_nobody_is_introduced_without_address(sandbox: Sandbox, body: bytes) -> None:
    assert sandbox.http.post("/sandbox/people", content=body).status_code == 422
