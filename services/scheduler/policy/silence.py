"""Silence: the facts that stop or pause contact about a debt, each a rule of its own.

In: one debt of a debtor, the holds in force, `now`. Out: the first rule that silences, or (for
`explain`) the verdict of every rule. A silenced debt stays where it is on its ladder.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.scheduler.policy.decision import VerdictKind
from services.scheduler.policy.people import debtor_subjects
from services.scheduler.policy.standing import deadline, next_instalment, open_promises
from services.scheduler.policy.state import DebtorState, DebtState
from shared.events.configuration import Portfolio
from shared.events.contact import Reason
from shared.events.hold import Hold, subject_of

FOREIGN_MONEY = "debt.payment_currency_mismatch"
HoldsBySubject = Mapping[str, Hold]
# A lift of these does not name a debtor, so nobody would wake the contact: it is deferred instead.
WIDE_SCOPES = frozenset({"everything", "tenant", "portfolio", "channel", "template", "address"})
# Holds that the planner owns are lifted in the transaction that decides anew. A lift of any other
# is no event of the debtor: whoever waits for it asks again once an hour.
OWN_HOLDS = "scheduler"
HOLD_RECHECK = timedelta(hours=1)


class Scene(NamedTuple):
    """What the rules look at. `portfolio` is None while it is not configured."""

    state: DebtorState
    debt: DebtState
    portfolio: Portfolio | None
    holds: HoldsBySubject
    now: datetime
    zone: ZoneInfo


class Silenced(NamedTuple):
    """A rule that silences: stop or wait, until when, and why; `wide` when a wide hold does it.

    `recheck`: it may end earlier than `until`, and no event will say so.
    """

    kind: VerdictKind
    until: datetime | None
    reason: Reason
    wide: bool = False
    recheck: bool = False


Rule = Callable[[Scene], Silenced | None]


def in_force(holds: list[Hold] | tuple[Hold, ...], now: datetime) -> dict[str, Hold]:
    """Return the holds that bind now, by subject; the one that ends last stands for its subject."""
    found: dict[str, Hold] = {}
    for hold in holds:
        if hold.state != "active" or (hold.until is not None and hold.until <= now):
            continue
        other = found.get(hold.subject)
        if other is None or (other.until is not None and _later(hold.until, other.until)):
            found[hold.subject] = hold
    return found


def first(scene: Scene) -> Silenced | None:
    """Return the first rule that silences the debt, None when it may be talked about."""
    for _, rule in RULES:
        silenced = rule(scene)
        if silenced is not None:
            return silenced
    return None


def every(scene: Scene) -> list[Reason]:
    """Return the verdict of every rule, for `explain`."""
    verdicts = []
    for name, rule in RULES:
        silenced = rule(scene)
        verdicts.append(silenced.reason if silenced else Reason(rule=name, verdict="pass"))
    return verdicts


def held(hold: Hold) -> Silenced:
    """Return what a hold does: wait until its end, or until it is lifted."""
    return Silenced(
        VerdictKind.WAIT,
        hold.until,
        Reason(
            rule="hold",
            version=str(hold.version),
            verdict="held",
            inputs={"scope": hold.scope, "reason": hold.reason, "hold_id": str(hold.hold_id)},
        ),
        wide=hold.scope in WIDE_SCOPES,
        recheck=hold.origin != OWN_HOLDS,
    )


def _merged(scene: Scene) -> Silenced | None:
    return _stop("debtor.merged") if scene.state.merged_into is not None else None


def _erased(scene: Scene) -> Silenced | None:
    return _stop("debtor.erasure") if scene.state.erasure_requested else None


def _unregistered(scene: Scene) -> Silenced | None:
    return None if scene.debt.registered else _wait("debt.unregistered", None)


def _cancelled(scene: Scene) -> Silenced | None:
    return _stop("debt.cancelled") if scene.debt.status == "cancelled" else None


def _settled(scene: Scene) -> Silenced | None:
    return _stop("debt.settled") if scene.debt.status == "settled" else None


def _person_hold(scene: Scene) -> Silenced | None:
    longest: Silenced | None = None
    for hold in scene.state.person_holds.values():
        if hold.until is not None and hold.until <= scene.now:
            continue
        if longest is None or (longest.until is not None and _later(hold.until, longest.until)):
            longest = _wait("debtor.hold", hold.until, reason=hold.reason)
    return longest


def _lane_hold(scene: Scene) -> Silenced | None:
    if not scene.holds:
        return None
    tenant = scene.state.tenant_id
    for subject in (
        "everything",
        subject_of("tenant", tenant),
        subject_of("portfolio", tenant, scene.debt.portfolio_id),
        *debtor_subjects(scene.state),
        subject_of("debt", tenant, str(scene.debt.debt_id)),
    ):
        hold = scene.holds.get(subject)
        if hold is not None:
            return held(hold)
    return None


def _disputed(scene: Scene) -> Silenced | None:
    return _wait("debt.disputed", None) if scene.debt.disputed() else None


def _foreign_money(scene: Scene) -> Silenced | None:
    if scene.debt.foreign_payment():
        return _wait(FOREIGN_MONEY, None)
    return None


def _promised(scene: Scene) -> Silenced | None:
    if not scene.debt.promises or scene.portfolio is None:
        return None
    dates = [promise.due for promise in open_promises(scene.debt)]
    if not dates:
        return None
    until = deadline(max(dates), scene.portfolio, scene.zone)
    return _wait("promise.open", until, promises=str(len(dates)))


def _agreed(scene: Scene) -> Silenced | None:
    if scene.debt.agreement is None or scene.portfolio is None:
        return None
    day = next_instalment(scene.debt, scene.portfolio, scene.zone)
    if day is None:
        return None
    return _wait("agreement.open", deadline(day, scene.portfolio, scene.zone))


def _claims_paid(scene: Scene) -> Silenced | None:
    until = scene.debt.quiet_until
    if until is None or until <= scene.now:
        return None

    return _wait("debt.claimed_paid", until)


RULES: tuple[tuple[str, Rule], ...] = (
    ("debtor.merged", _merged),
    ("debtor.erasure", _erased),
    ("debt.unregistered", _unregistered),
    ("debt.cancelled", _cancelled),
    ("debt.settled", _settled),
    ("debtor.hold", _person_hold),
    ("hold", _lane_hold),
    ("debt.disputed", _disputed),
    (FOREIGN_MONEY, _foreign_money),
    ("promise.open", _promised),
    ("agreement.open", _agreed),
    ("debt.claimed_paid", _claims_paid),
)


def _stop(rule: str) -> Silenced:
    return Silenced(VerdictKind.STOP, None, Reason(rule=rule, verdict="stop"))


def _wait(rule: str, until: datetime | None, **inputs: str) -> Silenced:
    if until is not None:
        inputs["until"] = until.isoformat()
    return Silenced(VerdictKind.WAIT, until, Reason(rule=rule, verdict="wait", inputs=inputs))


def _later(left: datetime | None, right: datetime) -> bool:
    return left is None or left > right
