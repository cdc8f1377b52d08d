"""Folding merges: one debtor falls silent and leaves, the other takes everything over.

In: `debtor.merged` under either debtor, and `debtor.absorbed`, in which the merged one's shard
hands its state over. Out: the surviving debtor's state, as if all of it had been told there. Both
stay silent by the merge's holds until the last part is in. Joining keeps the newest word of each
fact and unites what has an id, so it may repeat, and events may have come to the survivor first.
"""

from datetime import datetime
from uuid import UUID

from services.scheduler.policy import hand_offs
from services.scheduler.policy.decision import Folded
from services.scheduler.policy.fold_debts import FIELDS, REPLY_KEY, change_debt_hold
from services.scheduler.policy.fold_people import (
    FACTS,
    change_person_hold,
    lift_address,
    point_at,
    stamp_of_fact,
    take_fact,
)
from services.scheduler.policy.progress import raise_contact
from services.scheduler.policy.state import Consent, DebtorState, DebtState, Point, decode
from shared.events import debt as events
from shared.events.contact import Reason
from shared.events.states import ContactState

MERGED = (Reason(rule="debtor.merged", verdict="stop"),)
AT_A_SENDER = (ContactState.DISPATCHED, ContactState.CLAIMED)


def merged(out: Folded, event_id: UUID, event: events.DebtorMerged, now: datetime) -> None:
    """Two debtors are one: the merged one ends its contacts and leaves, the other waits for it."""
    state = out.state
    cause = event.cause_event_id or event_id
    key = str(event.merged_debtor_id)
    if event.merged_debtor_id == state.debtor_id:
        state.merged_into = event.debtor_id
        out.leaving = cause
        _end_contacts(out, now)
    elif key in state.absorbed:
        change_person_hold(out, cause, "merged", keep=False)
        return
    else:
        state.absorbing.setdefault(key, [])
    change_person_hold(out, cause, "merged", keep=True)


def absorbed(
    out: Folded, event: events.DebtorAbsorbed, address_subject: object, now: datetime
) -> None:
    """Take one part of a merged debtor over; with the last one, both may be talked to again."""
    del now
    state = out.state
    key = str(event.merged_debtor_id)
    if key in state.absorbed:
        return
    taken = state.absorbing.setdefault(key, [])
    if event.part in taken:
        return
    taken.append(event.part)
    theirs = decode(bytes(event.state))
    _take_person(out, theirs, address_subject)
    for debt_id, debt in theirs.debts.items():
        hand_offs.withdrawn_by_merge(out, debt)
        mine = state.debts.get(debt_id)
        state.debts[debt_id] = debt if mine is None else _joined(out, mine, debt)
    _take_contacts(out, theirs)
    if len(taken) < event.parts:
        return
    change_person_hold(out, event.cause_event_id, "merged", keep=False)
    del state.absorbing[key]
    state.absorbed.append(key)


def _end_contacts(out: Folded, now: datetime) -> None:
    """Cancel what is planned; ask senders to end what they have. Their answers are forwarded."""
    for key, record in out.state.contacts.items():
        if record.state == ContactState.PLANNED:
            raise_contact(out.state, UUID(key), ContactState.CANCELLED, now, out)
            out.cancelled.append((UUID(key), MERGED))
        elif record.state in AT_A_SENDER:
            out.close_requests.append(UUID(key))


def _take_person(out: Folded, theirs: DebtorState, address_subject: object) -> None:
    state = out.state
    for name in FACTS:
        take_fact(state, name, getattr(theirs, name) or None, stamp_of_fact(theirs, name))
    state.absorbed.extend(key for key in theirs.absorbed if key not in state.absorbed)
    for key, parts in theirs.absorbing.items():
        if key not in state.absorbed:
            state.absorbing.setdefault(key, parts)
    for channel, stamp in theirs.wrong_person.items():
        state.wrong_person[channel] = max(state.wrong_person.get(channel, ""), stamp)
    if theirs.answered_at is not None:
        state.answered_at = max(state.answered_at or theirs.answered_at, theirs.answered_at)
    _take_points(out, theirs, address_subject)
    _take_silences(out, theirs)


def _take_silences(out: Folded, theirs: DebtorState) -> None:
    """What the person said, and why nobody may call: all of it goes on."""
    state = out.state
    for level, consent in theirs.consents.items():
        state.consents[level], lifted = _united(state.consents.get(level), consent)
        for cause in lifted:
            change_person_hold(out, cause, "consent_granted", keep=False)
    for key, held in theirs.person_holds.items():
        if held.stamp > state.holds_lifted.get(held.reason, ""):
            state.person_holds.setdefault(key, held)
        else:
            change_person_hold(out, UUID(key), held.reason, keep=False)
    for reason, stamp in theirs.holds_lifted.items():
        state.holds_lifted[reason] = max(state.holds_lifted.get(reason, ""), stamp)
    state.erasure_requested = state.erasure_requested or theirs.erasure_requested


def _take_points(out: Folded, theirs: DebtorState, address_subject: object) -> None:
    """Both lists of addresses count: each was whole for the person that the client knew then."""
    state = out.state
    whole = max(state.points_stamp, theirs.points_stamp)
    current = [p for p in state.points if p.stamp and p.stamp >= state.points_stamp]
    for named in theirs.points:
        point = point_at(state, named.channel, named.address)
        if named.stamp and named.stamp >= theirs.points_stamp:
            current.append(point)
        _join_point(out, point, named, address_subject)
    for point in current:
        if point.stamp > state.wrong_person.get(point.channel, ""):  # or it would look named anew
            point.stamp = max(point.stamp, whole)
    state.points_stamp = whole


def _join_point(out: Folded, point: Point, named: Point, address_subject: object) -> None:
    if named.consent is not None:
        point.consent, lifted = _united(point.consent, named.consent)
        lift_address(out, lifted, point.channel, point.address, address_subject)
    point.verified = point.verified or named.verified
    point.right_party = point.right_party or named.right_party
    point.reached = max(point.reached, named.reached)
    point.failed = max(point.failed, named.failed)
    if named.suppressed is not None:
        point.suppressed = max(point.suppressed or named.suppressed, named.suppressed)
    point.stamp = max(point.stamp, named.stamp)


def _united(mine: Consent | None, theirs: Consent) -> tuple[Consent, list[UUID]]:
    """Return the newest words of both, and the revocations whose holds a newer grant lifts."""
    if mine is None:
        return theirs, []
    granted = max(mine.granted, theirs.granted)
    waiting = mine.revoked_by | theirs.revoked_by
    lifted = [key for key, revoked in waiting.items() if revoked <= granted]
    for key in lifted:
        del waiting[key]
    united = Consent(granted=granted, revoked=max(mine.revoked, theirs.revoked), revoked_by=waiting)
    return united, [UUID(key) for key in lifted]


def _take_contacts(out: Folded, theirs: DebtorState) -> None:
    """Their contacts count here from now on; what was learned here first still moves them."""
    state = out.state
    state.past = theirs.past | state.past
    for key, record in theirs.contacts.items():
        known = state.contacts.get(key)
        state.contacts[key] = record
        if known is not None and known.at is not None:
            raise_contact(state, UUID(key), ContactState(known.state), known.at, out)


def _joined(out: Folded, mine: DebtState, theirs: DebtState) -> DebtState:
    """Return one debt of what both knew: events about it may have come to the survivor first."""
    ahead = (theirs.registered, theirs.episode) >= (mine.registered, mine.episode)
    base, other = (theirs, mine) if ahead else (mine, theirs)
    _join_figures(base, other)
    base.registered = base.registered or other.registered
    base.stage = max(base.stage, other.stage)
    base.payments |= other.payments
    base.promises = other.promises | base.promises
    base.disputes |= other.disputes
    base.handed = other.handed | base.handed
    for name in ("reversed", "promises_cancelled", "work_opened", "work_decided"):
        known = getattr(base, name)
        known.extend(key for key in getattr(other, name) if key not in known)
    base.promises_cancelled_stamp = max(
        base.promises_cancelled_stamp, other.promises_cancelled_stamp
    )
    if other.agreement is not None and (
        base.agreement is None or other.agreement.stamp > base.agreement.stamp
    ):
        base.agreement = other.agreement
    _join_ends(out, base, other)
    return base


def _join_figures(base: DebtState, other: DebtState) -> None:
    """Per field the newest writer; a newer registration is the newest for what it did not leave."""
    for name in FIELDS:
        stamp = other.field_stamps.get(name, other.stamp)
        if stamp > base.field_stamps.get(name, base.stamp):
            setattr(base, name, getattr(other, name))
            base.field_stamps[name] = stamp
    if other.stamp > base.stamp:
        base.stamp, base.debt_ref = other.stamp, other.debt_ref
        base.portfolio_id = other.portfolio_id
    base.portfolio_id = base.portfolio_id or other.portfolio_id


def _join_ends(out: Folded, base: DebtState, other: DebtState) -> None:
    """Cancellations, disputes and rests: the later word; holds of disputes resolved here end."""
    if other.cancel_stamp > base.cancel_stamp:
        base.cancel_stamp, base.cancel_reason = other.cancel_stamp, other.cancel_reason
    if other.resolved_stamp > base.resolved_stamp:
        base.resolved_stamp, base.resolved_outcome = other.resolved_stamp, other.resolved_outcome
    for key, raised in base.disputes.items():
        if raised <= base.resolved_stamp and not key.startswith(REPLY_KEY):
            change_debt_hold(out, base, UUID(key), f"dispute_{base.resolved_outcome}")
    if other.quiet_until is not None:
        base.quiet_until = max(base.quiet_until or other.quiet_until, other.quiet_until)
