"""What an outcome means for the contact: again, later, or the end."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from shared.events import identities
from shared.events.contact import Reason
from shared.sender.attempts import N_MAX, Attempt, Frame, State, Work, ends_on
from shared.sender.errors import ERRORS, ErrorKind, SendError
from shared.sender.provider import Accepted, Refused, SendResult, Unknown
from shared.sender.recording import Ended, Outcome, backoff, decide
from tests.support.contacts import a_task

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BUDGET = timedelta(seconds=18)


def an_outcome(result: SendResult | Ended, **changes: Any) -> Outcome:
    contact_id = uuid4()
    fields: dict[str, Any] = {"n": 1, "tries": 0, "not_after": NOON + timedelta(hours=6)}
    fields |= changes
    attempt = Attempt(
        attempt_id=identities.attempt_id(contact_id, fields["n"]),
        contact_id=contact_id,
        ends_on=ends_on(fields["not_after"]),
        debtor_id=uuid4(),
        tenant_id="acme",
        account_id="acme-sms",
        provider="twilio",
        frame=Frame(
            portfolio_id="loja", channel="sms", step_key="d3", stage=1, template="t@1", items=()
        ),
        **fields,
    )
    work = Work(task=a_task(), raw=b"", traceparent=None, received_at=0.0)
    return Outcome(attempt=attempt, work=work, result=result)


def refused(kind: ErrorKind, after: float | None = None) -> Refused:
    return Refused(error=SendError(kind=kind, code="1", retry_after_seconds=after))


def test_accepted_and_unknown_are_never_tried_again() -> None:
    for result, state in (
        (Accepted(provider_ref="SM1"), State.ACCEPTED),
        (Unknown(why="timeout"), State.UNKNOWN),
        (Ended(state=State.CANCELLED, reason=Reason(rule="hold")), State.CANCELLED),
    ):
        decision = decide(an_outcome(result), NOON, BUDGET, 0.5)
        assert (decision.row.state, decision.wait_seconds) == (state, None)
        assert not decision.row.retryable


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_each_error_decides_whether_to_try_again(kind: ErrorKind) -> None:
    decision = decide(an_outcome(refused(kind)), NOON, BUDGET, 0.5)
    assert decision.row.retryable == ERRORS[kind].retryable
    assert (decision.wait_seconds is not None) == ERRORS[kind].retryable
    assert decision.row.tries == int(ERRORS[kind].spends_attempt)


def test_the_third_real_refusal_ends_the_contact() -> None:
    second = decide(an_outcome(refused(ErrorKind.UNREACHABLE), n=2, tries=1), NOON, BUDGET, 0.5)
    third = decide(an_outcome(refused(ErrorKind.UNREACHABLE), n=3, tries=2), NOON, BUDGET, 0.5)
    assert second.row.retryable
    assert (third.row.tries, third.row.retryable, third.wait_seconds) == (3, False, None)


def test_being_throttled_uses_up_no_try_but_does_not_go_on_for_ever() -> None:
    many = decide(an_outcome(refused(ErrorKind.THROTTLED), n=10), NOON, BUDGET, 0.5)
    last = decide(an_outcome(refused(ErrorKind.THROTTLED), n=N_MAX), NOON, BUDGET, 0.5)
    assert (many.row.tries, many.row.retryable) == (0, True)
    assert not last.row.retryable


def test_nothing_is_tried_again_when_the_window_ends_before() -> None:
    soon = NOON + timedelta(seconds=60)
    in_time = decide(an_outcome(refused(ErrorKind.THROTTLED, 30), not_after=soon), NOON, BUDGET, 0)
    too_late = decide(an_outcome(refused(ErrorKind.THROTTLED, 50), not_after=soon), NOON, BUDGET, 0)
    assert in_time.wait_seconds == 30
    assert too_late.wait_seconds is None


def test_waits_grow_and_are_jittered() -> None:
    error = SendError(kind=ErrorKind.UNREACHABLE)
    assert [backoff(error, tries, 0.0) for tries in (1, 2)] == [0.5, 2.0]
    assert [backoff(error, tries, 1.0) for tries in (1, 2)] == [1.0, 4.0]
    asked = SendError(kind=ErrorKind.THROTTLED, retry_after_seconds=10)
    assert 10 <= backoff(asked, 0, 0.9) <= 11
