"""Calling: one more look, the call, and how the account fares.

In: a claimed attempt. Out: what became of it; never an exception. The last look is in memory, right
before the provider: a hold newer than the claim, the window's end, or a claim older than a second
stop the call, and that is certain knowledge: nobody was asked.
"""

import time
from datetime import timedelta
from typing import Any

import aiohttp
import msgspec

from shared.clock import Clock
from shared.events.contact import Reason
from shared.events.hold import Hold
from shared.postgres import TRANSIENT_ERRORS
from shared.sender.attempts import Attempt, State
from shared.sender.batch_metrics import call_seconds, calls
from shared.sender.call_traces import CallTraces
from shared.sender.callbacks import Callbacks
from shared.sender.calls import proves
from shared.sender.composing import Composer
from shared.sender.errors import ErrorKind, SendError, Slows
from shared.sender.holds import Holds
from shared.sender.lanes import Lanes
from shared.sender.provider import Accepted, Account, Refused, Sending, SendResult, Unknown
from shared.sender.recording import Ended, is_refused
from shared.sender.store.claims import Candidate
from shared.sender.throttle import Throttle
from shared.telemetry import logs, metrics

START_SECONDS_MAX = 1.0  # a call begins so soon after its claim, or not at all

_log = logs.get_logger(__name__)


class Call(msgspec.Struct):
    """A claimed attempt on its way to the provider. `claimed_at`: monotonic, before the claim."""

    attempt: Attempt
    candidate: Candidate
    account: Account
    claimed_at: float


class Caller:
    """Makes the calls of one process."""

    def __init__(
        self,
        *,
        client: aiohttp.ClientSession,
        clock: Clock,
        composer: Composer[Any],
        holds: Holds,
        throttle: Throttle,
        callbacks: Callbacks,
        lanes: Lanes,
        call_budget: timedelta,
    ) -> None:
        self._traces = CallTraces(client)
        self._clock = clock
        self._composer = composer
        self._holds = holds
        self._throttle = throttle
        self._callbacks = callbacks
        self._lanes = lanes
        self._call_budget = call_budget

    async def call(self, call: Call) -> SendResult | Ended:
        """Make the call unless something stops it now; return what became of it. Never raises."""
        result: SendResult | Ended
        try:
            stopped = self._stopped(call)
        except Exception as error:  # noqa: BLE001 - every claim must get an outcome
            stopped = _proven(error)
        if stopped is not None:
            result = stopped
        else:
            result, call.attempt = await self._traces.around(
                call.attempt, lambda client: self._send(call, client)
            )
        self._note(call, result)
        return result

    async def slow_down(self, call: Call, result: SendResult | Ended) -> None:
        """Hold back account or number for everybody when the provider asked for it."""
        error = is_refused(result)
        if error is None or error.row.slows is Slows.NOTHING:
            return
        try:
            await self._throttle.push_back(call.account, error.row.slows, error.retry_after_seconds)
        except TRANSIENT_ERRORS as failure:
            _log.warning("push_back_failed", error_type=type(failure).__name__)

    def _stopped(self, call: Call) -> Ended | SendResult | None:
        task = call.candidate.work.task
        law = self._clock.law_now()
        hold = self._hold_on(call)
        if hold is not None:
            return Ended(state=State.CANCELLED, reason=held(hold))
        if not task.permit.not_before <= law < task.permit.not_after - self._call_budget:
            return Ended(state=State.EXPIRED, reason=Reason(rule="permit_interval", verdict="over"))
        if time.monotonic() - call.claimed_at > START_SECONDS_MAX:
            return Refused(error=SendError(kind=ErrorKind.NOT_STARTED))
        return None

    def _hold_on(self, call: Call) -> Hold | None:
        return self._holds.stopping(call.candidate.work.task, self._clock.law_now())

    async def _send(self, call: Call, client: aiohttp.ClientSession) -> SendResult:
        """Make the call through `client`; whatever is raised proves something about it."""
        try:
            return await self._sent(call, client)
        except BaseException as error:  # noqa: BLE001 - every claim must get an outcome
            return _proven(error)

    async def _sent(self, call: Call, client: aiohttp.ClientSession) -> SendResult:
        provider = self._composer.provider(call.account.settings.provider)
        left = call.attempt.not_after - self._clock.law_now()
        sending = Sending(
            callback_url=self._callbacks.url(call.attempt),
            validity_seconds=max(1, int(left.total_seconds())),
            reference=self._callbacks.reference(call.attempt),
            # Only mails carry it, and making it costs every other message its signature.
            unsubscribe_url=self._callbacks.unsubscribe_url(call.attempt)
            if call.attempt.frame.channel == "email"
            else "",
            sandbox=self._clock.sandbox,
            stopped=lambda: self._hold_on(call) is not None,
        )
        began = time.monotonic()
        try:
            return await provider.send(client, call.account, call.candidate.work.message, sending)
        finally:
            call_seconds(call.attempt.provider).observe(time.monotonic() - began)

    def _note(self, call: Call, result: SendResult | Ended) -> None:
        """Tell the breaker and the metrics how the account fares."""
        breaker = self._lanes.lane(call.account.tenant_id, call.account.account_id).breaker
        error = is_refused(result)
        if isinstance(result, Ended) or (error is not None and error.kind is ErrorKind.NOT_STARTED):
            breaker.abandon_probe()
        elif isinstance(result, Unknown) or (error is not None and error.row.trips_breaker):
            breaker.failed(time.monotonic())
        else:
            breaker.succeeded()
        name = error.kind.value if error is not None else type(result).__name__.lower()
        calls(call.attempt.provider, name).inc()
        if isinstance(result, Accepted):
            waited = self._clock.machine_now() - call.candidate.work.task.permit.issued_at
            metrics.SENDER_DISPATCH_SECONDS.observe(waited.total_seconds())


def _proven(error: BaseException) -> SendResult:
    result = proves(error)
    if isinstance(result, Unknown) and result.why == "fault":
        _log.error("provider_call_failed", exc_info=error)
    return result


def held(hold: Hold) -> Reason:
    """Return the reason of a contact that a hold has ended."""
    inputs = {"hold_id": str(hold.hold_id), "scope": hold.scope, "reason": hold.reason}
    return Reason(rule="hold", version=str(hold.version), verdict="held", inputs=inputs)
