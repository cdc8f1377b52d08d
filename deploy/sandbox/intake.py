"""How a provider over HTTP takes a message in: noted, tripped by faults, judged, accepted.

In: a message as it was asked for, and the provider's own judgement of it. Out: the answer, spoilt
when a fault says so, and a message handed to the debtors. What a 429, a 500 or a refusal looks like
is the provider's `Voice`; when they happen is decided here, alike for all.
"""

from collections.abc import Callable
from typing import Protocol

import msgspec

from deploy.sandbox.clock import machine_now
from deploy.sandbox.faults import CALL_KINDS, Fault
from deploy.sandbox.messages import Message
from deploy.sandbox.provider import Parts
from deploy.sandbox.wire import Answer

HANG_SECONDS = 60.0  # a silent provider: longer than any client waits


class Refused(Exception):
    """The provider refuses: its error code and what its text shows."""

    def __init__(self, code: int | str, shown: str = "") -> None:
        """Refuse with `code`."""
        super().__init__(str(code))
        self.code = code
        self.shown = shown


class Voice(Protocol):
    """A provider's words for what may become of a request."""

    throttled_code: int | str
    """What `refused` says when an account sends too fast."""
    scripted_code: int | str
    """What `refused` says when a scripted refusal names no code."""

    def refused(self, code: int | str, shown: str = "") -> Answer:
        """Return the error answer for `code`."""

    def throttled(self, retry_after_seconds: float) -> Answer:
        """Return the answer to a client that must wait."""

    def failed(self) -> Answer:
        """Return the answer of a provider that broke down."""


class Intake:
    """One provider's way in."""

    def __init__(self, provider: str, parts: Parts, voice: Voice) -> None:
        """Take messages in for `provider`."""
        self._provider = provider
        self._parts = parts
        self._witness = parts.witness
        self._voice = voice
        self._budgets: dict[str, tuple[float, float]] = {}
        self.counters = {"requests": 0, "accepted": 0, "refused": 0, "faults": 0}

    def take(
        self, message: Message, judge: Callable[[], None], accept: Callable[[], Answer]
    ) -> Answer:
        """Answer a send. `judge` raises `Refused`; `accept` keeps the message and answers."""
        self._requested(message)
        met = self._parts.faults.meet(message.to)
        call = next((fault for fault in met if fault.kind in CALL_KINDS), None)
        if met:
            self.counters["faults"] += 1
        if call is not None and (answer := self._before(message, call)) is not None:
            return answer
        try:
            judge()
        except Refused as refusal:
            return self.refuse(message, refusal, message.account_id)
        answer = accept()
        self.counters["accepted"] += 1
        fault = call.kind if call else None
        self._witness.note("accepted", self._provider, message, fault=fault)
        self._parts.accepted(message, met)
        return answer if call is None else self._after(answer, call)

    def asked(self, account: str | None = None) -> None:
        """Note a request that names no message we could read."""
        self._requested(None, account)

    def refuse(self, message: Message | None, refusal: Refused, account: str | None) -> Answer:
        """Refuse, and note it."""
        answer = self._voice.refused(refusal.code, refusal.shown)
        self.counters["refused"] += 1
        status = str(answer.status)
        self._witness.note(
            "refused", self._provider, message, code=refusal.code, status=status, account=account
        )
        return answer

    def spend(self, account: str, rate_per_second: float | None) -> None:
        """Take one token of the account's bucket (one second of burst, machine time)."""
        if not rate_per_second:
            return
        now = machine_now().timestamp()
        tokens, at = self._budgets.get(account, (rate_per_second, now))
        tokens = min(rate_per_second, tokens + (now - at) * rate_per_second)
        self._budgets[account] = (tokens - 1 if tokens >= 1 else tokens, now)
        if tokens < 1:
            raise Refused(self._voice.throttled_code)

    def _before(self, message: Message, fault: Fault) -> Answer | None:
        """Act out a trouble that keeps the message from being accepted, if it is one."""
        if fault.kind == "throttle_429":
            answer = self._voice.throttled(fault.retry_after)
        elif fault.kind == "error_500_before":
            answer = self._voice.failed()
        elif fault.kind == "timeout_before":
            answer = Answer(504, b"", delay_s=fault.seconds or HANG_SECONDS, reset=True)
        elif fault.kind == "reset_connection" and not fault.accepted:
            answer = Answer(504, b"", reset=True)
        elif fault.kind == "garbled_answer" and fault.accepted is False:
            answer = garbled(self._voice.failed(), fault.shape)
        elif fault.kind == "refuse":
            code = self._voice.scripted_code if fault.code is None else fault.code
            answer = self._voice.refused(code)
        else:
            return None
        self.counters["refused"] += 1
        status = str(answer.status)
        self._witness.note("refused", self._provider, message, status=status, fault=fault.kind)
        return answer

    def _after(self, answer: Answer, fault: Fault) -> Answer:
        """Spoil the answer to an accepted message."""
        if fault.kind == "error_500_after_acceptance":
            return self._voice.failed()
        if fault.kind == "timeout_after_acceptance":
            return msgspec.structs.replace(answer, delay_s=fault.seconds or HANG_SECONDS)
        if fault.kind == "reset_connection":
            return msgspec.structs.replace(answer, reset=True)
        return garbled(answer, fault.shape)

    def _requested(self, about: Message | None, account: str | None = None) -> None:
        self.counters["requests"] += 1
        self._witness.note("request", self._provider, about, account=account)


def garbled(answer: Answer, shape: str) -> Answer:
    """Return an answer as something between the provider and us may have mangled it."""
    if shape == "html":
        page = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
        return Answer(answer.status, page, content_type=b"text/html")
    if shape == "empty":
        return Answer(answer.status, b"")
    if shape == "wrong_json":
        return Answer(answer.status, b'{"messages":[{"id":42}]}')
    return msgspec.structs.replace(answer, truncate_at=len(answer.body) // 2)
