"""Before the claim: what the channel's memory has against messages that were picked.

In: picked tasks with their accounts. Out: the same, less those that must wait (they are handed back
and spend nothing), and with a fault on those that must not go at all (the claim ends them).
"""

from shared.events.contact import Reason
from shared.postgres import Pool
from shared.sender.lanes import Lanes
from shared.sender.memory import Judgement, Memory, Planned
from shared.sender.picking import HandBack, Picked
from shared.sender.provider import Account
from shared.sender.store.claims import Candidate
from shared.sender.throttle import Throttle
from shared.telemetry import logs

_log = logs.get_logger(__name__)


class Judge:
    """Asks one channel's memory, if it has one."""

    def __init__(
        self, *, memory: Memory | None, pool: Pool, throttle: Throttle, lanes: Lanes
    ) -> None:
        self._memory = memory
        self._pool = pool
        self._throttle = throttle
        self._lanes = lanes

    async def apply(self, picked: Picked) -> None:
        """Take out what must wait, mark what must not go."""
        if self._memory is None:
            return
        planned = [
            Planned(
                contact_id=candidate.work.task.contact_id,
                account=account,
                address_digest=candidate.address_digest,
                message=candidate.work.message,
            )
            for candidate, account in picked.candidates
            if account is not None and candidate.work.fault is None
        ]
        if not planned:
            return
        async with self._pool.transaction() as conn:
            judged = await self._memory.judge(conn, planned)
        kept: list[tuple[Candidate, Account | None]] = []
        for candidate, account in picked.candidates:
            verdict = judged.get(candidate.work.task.contact_id)
            if verdict is None or account is None:
                kept.append((candidate, account))
            elif verdict.refused is not None:
                self._refuse(candidate, verdict)
                kept.append((candidate, account))
            else:
                reason = Reason(rule=verdict.rule, verdict="handed_back")
                picked.backs.append(HandBack(candidate.work, reason, verdict.wait_seconds))
                self._throttle.give_back(account, 1)
                lane = self._lanes.lane(account.tenant_id, account.account_id)
                lane.breaker.abandon_probe()
        picked.candidates = kept

    def _refuse(self, candidate: Candidate, verdict: Judgement) -> None:
        work = candidate.work
        work.fault = verdict.refused.value if verdict.refused is not None else None
        _log.error("message_refused", contact_id=str(work.task.contact_id), rule=verdict.rule)
