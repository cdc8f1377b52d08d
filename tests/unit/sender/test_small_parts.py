"""Breaker, lanes, tickets, callback URLs and what exceptions prove, each by itself."""

from datetime import date, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import aiohttp
import pytest

from shared.events import identities
from shared.events.configuration import SenderAccount
from shared.kafka import Record
from shared.sender.attempts import Attempt, Frame, Work
from shared.sender.breaker import FAILURES_TO_OPEN, OPEN_SECONDS_MAX, Breaker
from shared.sender.callbacks import Callback, Callbacks
from shared.sender.calls import AnswerTooLargeError, proves
from shared.sender.lanes import Lanes
from shared.sender.picking import Picked, Picker
from shared.sender.provider import Account, Refused, Unknown
from shared.sender.store.claims import Candidate
from shared.sender.tickets import Tickets
from tests.support.contacts import a_task, now

PLACE = ("contact.tasks.sms.v1", 0)


def test_a_breaker_opens_after_failures_in_a_row_and_lets_one_probe_through() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN - 1):
        breaker.failed(100.0)
    breaker.succeeded()
    for _ in range(FAILURES_TO_OPEN):
        assert breaker.shut_for(100.0) == 0
        assert breaker.room(100.0, 7) == 7
        breaker.failed(100.0)
    pause = breaker.shut_for(100.0)
    assert 4.0 <= pause <= 6.0
    assert breaker.room(100.0, 7) == 0
    assert breaker.room(100.0 + pause, 7) == 1
    breaker.probing()
    assert breaker.room(100.0 + pause, 7) == 0
    breaker.succeeded()
    assert breaker.room(100.0 + pause, 7) == 7


def test_failed_probes_double_the_pause_up_to_a_bound() -> None:
    breaker = Breaker()
    at = 0.0
    pauses = []
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed(at)
    for _ in range(8):
        pause = breaker.shut_for(at)
        pauses.append(pause)
        at += pause
        breaker.probing()
        breaker.failed(at)
    assert pauses[1] > pauses[0]
    assert max(pauses) <= OPEN_SECONDS_MAX * 1.2


def test_calls_from_before_it_opened_do_not_lengthen_the_pause() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN + 50):
        breaker.failed(0.0)
    assert breaker.shut_for(0.0) <= 6.0


def test_a_probe_that_never_left_lets_the_next_one_through() -> None:
    """The database failed between picking and claiming: the lane must not stay shut for ever."""
    lanes = Lanes()
    work = _work(account_id="a")
    lane = lanes.lane("acme", "a")
    for _ in range(FAILURES_TO_OPEN):
        lane.breaker.failed(0.0)
    later = OPEN_SECONDS_MAX * 2
    lane.breaker.probing()
    assert lane.breaker.room(later, 5) == 0
    candidate = Candidate(
        work=work, provider="twilio", address_digest="d", template="t@1", budget=timedelta()
    )
    settings = SenderAccount(
        channel="sms",
        provider="twilio",
        sender="+5511999990000",
        rate_per_second=1.0,
        credentials={},
    )
    account = Account(tenant_id="acme", account_id="a", settings=settings, credentials={})
    picked = Picked()
    picked.candidates.append((candidate, account))
    nothing: Any = None  # undoing composes nothing and takes no permits
    Picker(nothing, nothing, lanes).undo(picked)
    assert (lane.breaker.room(later, 5), lanes.take(lane, 5)) == (1, [work])


def test_lanes_take_turns_and_keep_their_order() -> None:
    lanes = Lanes()
    works = [_work(account_id=account) for account in ("a", "a", "b")]
    for work in works:
        lanes.add(work)
    assert [lane.account_id for lane in lanes.busy()] == ["a", "b"]
    taken = lanes.take(lanes.lane("acme", "a"), 2)
    assert (taken, lanes.waiting) == (works[:2], 1)
    lanes.put_back(taken)
    assert (lanes.take(lanes.lane("acme", "a"), 1), lanes.waiting) == (works[:1], 2)
    lanes.drop(lambda work: work is works[1])
    assert lanes.waiting == 1


def test_an_offset_moves_when_everything_before_it_is_settled() -> None:
    tickets = Tickets()
    tickets.begin({PLACE: 5})
    issued = [tickets.issue(_record(offset)) for offset in (5, 6, 7)]
    issued[1].settled = issued[2].settled = True
    assert tickets.positions() == {}
    assert tickets.next == {PLACE: 5}
    issued[0].settled = True
    assert tickets.positions() == {PLACE: 8}
    assert tickets.positions() == {}
    assert tickets.next == {PLACE: 8}


def test_a_callback_url_names_its_attempt_and_nothing_else_does() -> None:
    callbacks = Callbacks("https://sms.example.org/", b"k" * 32)
    attempt = _attempt()
    parts = urlsplit(callbacks.url(attempt))
    assert parts.path == "/webhooks/twilio/acme%2Fx/a%20b"
    query = dict(parse_qsl(parts.query))
    assert query["a"] == str(identities.attempt_id(attempt.contact_id, 2))
    assert callbacks.read("acme/x", "a b", query) == Callback(
        contact_id=attempt.contact_id, n=2, ends_on=attempt.ends_on
    )
    assert callbacks.read("acme/x", "a b", {}) is None
    for changed in ({"n": "3"}, {"c": str(uuid4())}, {"e": "20261123"}, {"s": ""}, {"s": "é"}):
        with pytest.raises(ValueError, match="signature"):
            callbacks.read("acme/x", "a b", query | changed)
    with pytest.raises(ValueError, match="signature"):
        callbacks.read("other", "a b", query)


def test_what_an_exception_proves() -> None:
    key: Any = None  # only its text would show it
    not_sent = [
        aiohttp.ClientConnectorError(key, OSError()),
        aiohttp.ConnectionTimeoutError(),
        aiohttp.InvalidURL("x"),
    ]
    assert all(isinstance(proves(error), Refused) for error in not_sent)
    maybe = [
        aiohttp.ServerDisconnectedError(),
        aiohttp.ClientOSError(),
        aiohttp.SocketTimeoutError(),
        aiohttp.ClientPayloadError(),
        AnswerTooLargeError(),
        TimeoutError(),
        RuntimeError(),
    ]
    assert all(isinstance(proves(error), Unknown) for error in maybe)


def _work(**changes: Any) -> Work:
    return Work(task=a_task(**changes), raw=b"", traceparent=None, received_at=0.0)


def _record(offset: int) -> Record:
    return Record(PLACE[0], PLACE[1], offset, "k", {}, b"", 0)


def _attempt() -> Attempt:
    contact_id = uuid4()
    return Attempt(
        attempt_id=identities.attempt_id(contact_id, 2),
        contact_id=contact_id,
        n=2,
        ends_on=date(2026, 11, 22),
        debtor_id=uuid4(),
        tenant_id="acme/x",
        account_id="a b",
        provider="twilio",
        frame=Frame(portfolio_id="p", channel="sms", step_key="s", stage=1, template="t", items=()),
        not_after=now(),
    )
