"""What can be called now: tasks with an account, a permit and words; and what goes back.

In: lanes of tasks. Out: candidates for the claim, and tasks that have waited too long for a
permit, a provider or configuration: those are handed back without spending an attempt. Priorities
hold because the dispatcher keeps only seconds of an account's capacity in Kafka.
"""

import math
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from shared.events.contact import Reason
from shared.sender.attempts import Work
from shared.sender.breaker import OPEN_SECONDS_FIRST
from shared.sender.composing import Composer, Missing
from shared.sender.lanes import Lane, Lanes
from shared.sender.provider import Account
from shared.sender.store.claims import Candidate
from shared.sender.throttle import Throttle

PATIENCE_SECONDS = 5.0  # without permit, provider or configuration: then the task is handed back
CONFIGURATION_SECONDS = 30.0  # how long the scheduler waits before it hands such a task over again
# Other replicas share the rate: a task that has waited so long is behind more than our own.
OVERDUE_SECONDS = 20.0
PERMIT_SECONDS_MIN = 1.0  # a hand-back for less would come round too often
LOOK_AGAIN_SECONDS = 0.05  # for configuration, which may arrive at any moment
CLAIM_TASKS_MIN = 32  # while busy, wait for so many free calls: fewer, larger statements
# Of all calls, at most so many of one account: when its provider hangs, others still have room.
ACCOUNT_SHARE_MAX = 0.75
UNREADABLE_TASKS_MAX = 100  # of one claim
HANDED_BACK_MAX = 500  # facts of one transaction
NO_PERMIT = Reason(rule="no_rate_permit", verdict="handed_back")
BREAKER_OPEN = Reason(rule="breaker_open", verdict="handed_back")


class HandBack(msgspec.Struct, frozen=True):
    """A task that goes back to the scheduler, due again after `seconds` of law time."""

    work: Work
    reason: Reason
    seconds: float


class Picked(msgspec.Struct):
    """Candidates for one claim (with their accounts), and tasks to hand back."""

    candidates: list[tuple[Candidate, Account | None]] = msgspec.field(default_factory=list)
    backs: list[HandBack] = msgspec.field(default_factory=list)

    def works(self) -> Sequence[Work]:
        """Return every task that was taken from a lane."""
        return [each.work for each, _ in self.candidates] + [each.work for each in self.backs]


class Picker:
    """Takes tasks from their lanes."""

    def __init__(self, composer: Composer[Any], throttle: Throttle, lanes: Lanes) -> None:
        self._composer = composer
        self._throttle = throttle
        self._lanes = lanes

    async def pick(self, *, free: int, calls_max: int, gate_open: bool) -> Picked:
        """Take at most `free` tasks that can be called now. Behind a shut gate: none."""
        picked = Picked()
        wanted = min(CLAIM_TASKS_MIN, self._lanes.waiting, calls_max)
        try:
            for lane in self._lanes.busy():
                account = self._usable(lane, picked.backs)
                share = max(1, int(calls_max * ACCOUNT_SHARE_MAX)) - lane.calling
                room = min(free - len(picked.candidates), share)
                if account is not None and gate_open and free >= wanted and room > 0:
                    await self._from_lane(lane, account, room, picked)
        except BaseException:
            self.undo(picked)
            raise
        self._unreadable(picked)
        return picked

    def undo(self, picked: Picked) -> None:
        """Put everything back in its lane; what was to probe a provider no longer does.

        Permits are lost: the account is a moment slower, never faster than its rate.
        """
        self._lanes.put_back(picked.works())
        for _, account in picked.candidates:
            if account is not None:
                self._lanes.lane(account.tenant_id, account.account_id).breaker.abandon_probe()

    def _usable(self, lane: Lane, backs: list[HandBack]) -> Account | None:
        """Return a lane's account when calls may be made; else hand back what waited too long."""
        if not lane.account_id:
            return None
        now = time.monotonic()
        account = self._composer.account(lane.tenant_id, lane.account_id)
        if isinstance(account, Missing):
            reason = Reason(rule=f"{account.what}_missing")
            self._too_long(lane, reason, CONFIGURATION_SECONDS, backs)
            return None
        shut = lane.breaker.shut_for(now)
        if shut > 0:
            works = self._lanes.take(lane, HANDED_BACK_MAX - len(backs))
            backs.extend(HandBack(work, BREAKER_OPEN, shut) for work in works)
            return None
        if now < lane.ready_at:
            self._beyond_the_rate(lane, account, lane.ready_at - now, backs)
            return None
        return account

    def _beyond_the_rate(
        self, lane: Lane, account: Account, pause: float, backs: list[HandBack]
    ) -> None:
        """Hand back the tasks that cannot have a permit within 5 s, the last ones first.

        What waits for this process rather than for the rate stays.
        """
        rate = account.settings.rate_per_second
        kept = max(0, math.ceil((PATIENCE_SECONDS - pause) * rate))
        excess = min(len(lane.waiting) - kept, HANDED_BACK_MAX - len(backs))
        for work in self._lanes.take_last(lane, excess):
            seconds = pause + len(lane.waiting) / rate
            backs.append(HandBack(work, NO_PERMIT, max(PERMIT_SECONDS_MIN, seconds)))
        if pause < PATIENCE_SECONDS:
            self._too_long(lane, NO_PERMIT, PATIENCE_SECONDS, backs, OVERDUE_SECONDS)

    def _too_long(
        self,
        lane: Lane,
        reason: Reason,
        seconds: float,
        backs: list[HandBack],
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        limit = time.monotonic() - patience
        while lane.waiting and lane.waiting[0].received_at < limit and len(backs) < HANDED_BACK_MAX:
            backs.append(HandBack(self._lanes.take(lane, 1)[0], reason, seconds))

    async def _from_lane(self, lane: Lane, account: Account, room: int, picked: Picked) -> None:
        """Take tasks that have a permit and are composed; the rest stays in its lane."""
        wanted = lane.breaker.room(time.monotonic(), min(room, len(lane.waiting)))
        if wanted == 0:  # a probe is on its way
            self._too_long(lane, BREAKER_OPEN, OPEN_SECONDS_FIRST, picked.backs)
            return
        granted, wait = await self._throttle.take(account, wanted)
        if granted == 0:
            lane.ready_at = time.monotonic() + wait
            return
        before = len(picked.candidates)
        later = self._compose(self._lanes.take(lane, granted), account, picked)
        used = len(picked.candidates) - before
        self._throttle.give_back(account, granted - used)
        if used:
            lane.breaker.probing()
        elif later:
            lane.ready_at = time.monotonic() + LOOK_AGAIN_SECONDS
        for work in later:  # behind the others: they may have what these wait for
            self._lanes.add(work)

    def _compose(self, works: list[Work], account: Account, picked: Picked) -> list[Work]:
        """Add what can be called to `picked`; return what has to wait a little longer."""
        later: list[Work] = []
        seen: set[UUID] = set()
        for work in works:
            candidate = self._composer.candidate(work, account)
            if work.task.contact_id in seen:
                later.append(work)  # a duplicate: the next claim finds its twin's row
            elif not isinstance(candidate, Missing):
                seen.add(work.task.contact_id)
                picked.candidates.append((candidate, account))
            elif time.monotonic() - work.received_at > PATIENCE_SECONDS:
                reason = Reason(rule=f"{candidate.what}_missing")
                picked.backs.append(HandBack(work, reason, CONFIGURATION_SECONDS))
            else:
                later.append(work)
        return later

    def _unreadable(self, picked: Picked) -> None:
        """Take tasks that can only be ended: they need neither account nor permit."""
        seen: set[UUID] = set()
        for lane in self._lanes.busy():
            if lane.account_id:
                continue
            for work in self._lanes.take(lane, UNREADABLE_TASKS_MAX - len(seen)):
                candidate = self._composer.candidate(work, None)
                if isinstance(candidate, Missing) or work.task.contact_id in seen:
                    work.settle()
                else:
                    seen.add(work.task.contact_id)
                    picked.candidates.append((candidate, None))
