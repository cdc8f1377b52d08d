"""What the claim decided, in the runtime's words: attempts, facts of endings, tasks too early.

In: verdicts of the claim. Out: values and facts; no I/O.
"""

from collections.abc import Iterable

from shared.events import identities
from shared.events.contact import Reason
from shared.sender.attempts import Attempt, State
from shared.sender.facts import Fact, Facts
from shared.sender.picking import PERMIT_SECONDS_MIN, HandBack
from shared.sender.store import claims
from shared.sender.store.claims import Verdict


def stated(facts_of: Facts, verdicts: Iterable[Verdict]) -> list[Fact]:
    """Return the facts of what the claim itself ended."""
    facts = []
    for verdict in verdicts:
        law, machine = verdict.law, verdict.machine
        if verdict.verdict in {State.CANCELLED, State.EXPIRED}:
            state, why = State(verdict.verdict), _why(verdict)
            facts.append(facts_of.ended(attempt_of(verdict), state, why, law=law, machine=machine))
        elif verdict.verdict == State.INVALID:
            fault = verdict.candidate.work.fault
            facts.append(
                facts_of.attempted(
                    attempt_of(verdict), State.INVALID, error=fault, law=law, machine=machine
                )
            )
    return facts


def attempt_of(verdict: Verdict) -> Attempt:
    """Return the attempt that a verdict speaks of."""
    task = verdict.candidate.work.task
    return Attempt(
        attempt_id=identities.attempt_id(task.contact_id, verdict.n),
        contact_id=task.contact_id,
        n=verdict.n,
        ends_on=verdict.candidate.work.ends_on,
        debtor_id=task.debtor_id,
        tenant_id=task.tenant_id,
        account_id=task.account_id,
        provider=verdict.candidate.provider,
        frame=claims.frame_of(verdict.candidate),
        tries=verdict.tries,
        not_after=task.permit.not_after,
    )


def _why(verdict: Verdict) -> Reason:
    if verdict.hold_id is None or verdict.verdict == State.EXPIRED:
        return Reason(rule="permit_interval", verdict="over")
    inputs = {
        "hold_id": str(verdict.hold_id),
        "scope": verdict.scope or "",
        "reason": verdict.reason or "",
    }
    return Reason(rule="hold", version=str(verdict.version), verdict="held", inputs=inputs)


def too_early(verdict: Verdict) -> HandBack:
    """Return a task that goes back until its window opens."""
    opens = verdict.candidate.work.task.permit.not_before
    seconds = max(PERMIT_SECONDS_MIN, (opens - verdict.law).total_seconds())
    return HandBack(verdict.candidate.work, Reason(rule="window_not_open"), seconds)
