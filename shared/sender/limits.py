"""What an account may do to one person and in a day, whatever its channel.

In: contacts about to be claimed, with their accounts. Out: those that may go, and those that are
handed back. `pair_rate_per_minute` is a rest between two contacts of one person (by the sender they
see), `day_limit` the most contacts in any 24 hours. Both are taken in the claim's own transaction
and are exact across replicas; a contact that no provider can have taken is given back. Accounts
without such limits cost nothing here.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec

from shared.events.contact import Reason
from shared.postgres import TRANSIENT_ERRORS, Connection, Pool
from shared.sender.attempts import State
from shared.sender.lanes import Lanes
from shared.sender.picking import HandBack
from shared.sender.provider import Accepted, Account, Unknown
from shared.sender.recording import Outcome
from shared.sender.store import limits as store
from shared.sender.store.claims import Candidate, Verdict
from shared.sender.store.limits import Pair, Rest, Use
from shared.sender.throttle import Throttle, account_key, number_key
from shared.telemetry import logs

SECONDS_PER_MINUTE = 60.0
# A full day frees its room as the day before went by; asked more often, a long queue goes round.
DAY_WAIT_SECONDS_MIN = 900.0

Picks = Sequence[tuple[Candidate, Account | None]]

_log = logs.get_logger(__name__)


class _Taken(msgspec.Struct, gc=False):
    """What one contact took of its account's limits."""

    rest: Rest | None = None
    use: Use | None = None


class _Case(msgspec.Struct, frozen=True):
    """One contact of an account with limits; `rest_seconds` None: no pair rate."""

    candidate: Candidate
    account: Account
    rest_seconds: float | None

    @property
    def contact_id(self) -> UUID:
        return self.candidate.work.task.contact_id

    @property
    def pair(self) -> Pair:
        return Pair(number_key(self.account), self.candidate.address_digest)


class Limits:
    """The limits of all accounts of one channel; `pair_rate_per_minute` where they name none."""

    def __init__(
        self, pool: Pool, throttle: Throttle, lanes: Lanes, pair_rate_per_minute: float | None
    ) -> None:
        self._pool = pool
        self._throttle = throttle
        self._lanes = lanes
        self._pair_rate_per_minute = pair_rate_per_minute
        self._taken: dict[UUID, _Taken] = {}

    async def reserve(
        self, conn: Connection, picks: Picks
    ) -> tuple[list[Candidate], list[HandBack]]:
        """Return what may be claimed, and what its account's limits hold back."""
        candidates = [each for each, _ in picks]
        cases = [case for pick in picks if (case := self._case(*pick)) is not None]
        if not cases:
            return candidates, []
        self.forget(candidates)
        backs = await self._rest(conn, cases)
        held = {each.work.task.contact_id for each in backs}
        backs += await self._count(conn, [each for each in cases if each.contact_id not in held])
        held = {each.work.task.contact_id for each in backs}
        self._unspent(each.account for each in cases if each.contact_id in held)
        return [each for each in candidates if each.work.task.contact_id not in held], backs

    async def claimed(self, conn: Connection, verdicts: Iterable[Verdict]) -> None:
        """Give back what the claim itself ended or knew already, in its transaction."""
        await self._give_back(
            conn,
            [
                each.candidate.work.task.contact_id
                for each in verdicts
                if each.verdict != State.CLAIMED
            ],
        )

    def forget(self, candidates: Iterable[Candidate]) -> None:
        """Give nothing back for these any more: a duplicate must not undo its twin's use.

        What was taken then counts, as does what a rolled back claim took nothing for.
        """
        for each in candidates:
            self._taken.pop(each.work.task.contact_id, None)

    async def settle(self, outcomes: Iterable[Outcome]) -> None:
        """Give back what certainly reached no provider; what may have, counts."""
        unspent = []
        for each in outcomes:
            if isinstance(each.result, Accepted | Unknown):
                self._taken.pop(each.attempt.contact_id, None)
            else:
                unspent.append(each.attempt.contact_id)
        if not self._taken.keys() & set(unspent):
            return
        try:
            async with self._pool.transaction() as conn:
                await self._give_back(conn, unspent)
        except TRANSIENT_ERRORS as error:  # the day has less room then, never more
            _log.warning("limits_not_given_back", error_type=type(error).__name__)

    def _case(self, candidate: Candidate, account: Account | None) -> _Case | None:
        """Return a contact that limits concern: neither one without, nor one that only ends."""
        if account is None or candidate.work.fault is not None:
            return None
        rate = account.settings.pair_rate_per_minute or self._pair_rate_per_minute
        if rate is None and account.settings.day_limit is None:
            return None
        return _Case(candidate, account, None if rate is None else SECONDS_PER_MINUTE / rate)

    async def _rest(self, conn: Connection, cases: Sequence[_Case]) -> list[HandBack]:
        """Begin the rests of the pairs; hand back who was written to a moment ago."""
        wanted: dict[Pair, float] = {}
        first: dict[Pair, UUID] = {}
        backs = []
        for case in cases:
            if case.rest_seconds is None:
                continue
            if case.pair in wanted:  # a second message to the same person in one batch
                backs.append(_back(case, "pair_rate", case.rest_seconds))
                continue
            wanted[case.pair], first[case.pair] = case.rest_seconds, case.contact_id
        resting, begun = await store.rest(conn, wanted) if wanted else ({}, {})
        for case in cases:
            if first.get(case.pair) != case.contact_id:
                continue
            if case.pair in begun:
                self._taken[case.contact_id] = _Taken(rest=begun[case.pair])
            else:
                backs.append(_back(case, "pair_rate", resting[case.pair]))
        return backs

    async def _count(self, conn: Connection, cases: Sequence[_Case]) -> list[HandBack]:
        """Count contacts into their accounts' days; hand back those beyond."""
        by_account: dict[str, list[_Case]] = {}
        day: dict[str, int] = {}
        for case in cases:
            if case.account.settings.day_limit is not None:
                key = account_key(case.account)
                day[key] = case.account.settings.day_limit
                by_account.setdefault(key, []).append(case)
        if not day:
            return []
        shares = await store.take(conn, {key: len(by_account[key]) for key in day}, day)
        backs = []
        for key, share in shares.items():
            for case in by_account[key][: share.granted]:
                self._taken.setdefault(case.contact_id, _Taken()).use = share.use
            wait = max(DAY_WAIT_SECONDS_MIN, share.wait_seconds)
            backs += [_back(each, "day_limit", wait) for each in by_account[key][share.granted :]]
        await self._give_back(conn, [each.work.task.contact_id for each in backs])
        return backs

    async def _give_back(self, conn: Connection, contact_ids: Iterable[UUID]) -> None:
        taken = [self._taken.pop(each, None) for each in contact_ids]
        rests = [each.rest for each in taken if each is not None and each.rest is not None]
        uses = [each.use for each in taken if each is not None and each.use is not None]
        await store.give_back(conn, rests, uses)

    def _unspent(self, accounts: Iterable[Account]) -> None:
        """Return the rate permits of contacts that are handed back."""
        for account in accounts:
            self._throttle.give_back(account, 1)
            self._lanes.lane(account.tenant_id, account.account_id).breaker.abandon_probe()


def _back(case: _Case, rule: str, seconds: float) -> HandBack:
    return HandBack(case.candidate.work, Reason(rule=rule, verdict="handed_back"), seconds)
