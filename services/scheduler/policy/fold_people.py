"""Folding what is known about the person: facts, consent, personal holds, contacts made elsewhere.

In: debtor events. Out: the debtor's state and the fate of the holds that intake placed. Newest word
wins per fact; a revocation is undone only by a newer grant that is at least as narrow.
"""

from datetime import datetime
from uuid import UUID

from services.scheduler.policy import hand_offs
from services.scheduler.policy.decision import Folded
from services.scheduler.policy.drafts import HoldChange
from services.scheduler.policy.people import debtor_subjects
from services.scheduler.policy.state import (
    Consent,
    DebtorState,
    PastContact,
    PersonHold,
    Point,
    stamp_of,
)
from shared.events import debt as events
from shared.events.identities import hold_id

EVERYTHING = "*"
FACTS = ("debtor_ref", "name", "kind", "locale", "places")
PHONE_CHANNELS = ("sms", "whatsapp", "voice")
NAMED_WITHOUT_DATE = "0"  # a grant whose date nobody knows is older than any revocation


def take_debtor_facts(
    state: DebtorState,
    facts: events.DebtorFacts,
    stamp: str,
    event_id: UUID,
    *,
    whole: bool = False,
) -> None:
    """Take what the client knows about the person; None leaves what was known.

    A registration adds its contact points; with `whole` (`debtor.updated`) the list replaces every
    point named before.
    """
    for name in FACTS:
        take_fact(state, name, getattr(facts, name), stamp)
    for named in facts.contact_points or ():
        _take_point(state, named, stamp, event_id)
    if whole and facts.contact_points is not None:
        state.points_stamp = max(state.points_stamp, stamp)


def take_fact(state: DebtorState, name: str, value: object, stamp: str) -> None:
    """Take one fact about the person when it is news; None says nothing."""
    if value is None or stamp <= stamp_of_fact(state, name):
        return
    setattr(state, name, value)
    state.facts_stamp = state.facts_stamp or stamp
    state.fact_stamps.pop(name, None)
    if stamp != state.facts_stamp:
        state.fact_stamps[name] = stamp


def stamp_of_fact(state: DebtorState, name: str) -> str:
    """Return when a fact was last told; most share one stamp, which keeps the state small."""
    return state.fact_stamps.get(name, state.facts_stamp) if getattr(state, name) else ""


def point_at(state: DebtorState, channel: str, address: str) -> Point:
    """Return the point, made (not usable yet) when the client has not named it."""
    for point in state.points:
        if point.channel == channel and point.address == address:
            return point
    point = Point(channel=channel, address=address)
    state.points.append(point)
    return point


def revoke(current: Consent | None, stamp: str, event_id: UUID | None) -> Consent:
    """Return the consent after a revocation; `event_id` is given when a hold waits on it."""
    consent = current or Consent()
    consent.revoked = max(consent.revoked, stamp)
    if event_id is not None and stamp > consent.granted:
        consent.revoked_by[str(event_id)] = stamp
    return consent


def updated(out: Folded, event_id: UUID, event: events.DebtorUpdated, now: datetime) -> None:
    """New facts about the person."""
    del now
    stamp = stamp_of(event.occurred_at, event_id)
    take_debtor_facts(out.state, event.debtor, stamp, event_id, whole=True)


def consent_changed(
    out: Folded, event_id: UUID, event: events.ConsentChanged, address_subject: object
) -> None:
    """Consent given or taken, for an address, a channel, or everything."""
    state = out.state
    stamp = stamp_of(event.occurred_at, event_id)
    granted = event.state == "granted"
    if event.address is not None:
        channels = [event.channel] if event.channel else _channels_of(state, event.address)
        for channel in channels:
            point = point_at(state, channel, event.address)
            lifted: list[UUID] = []
            if granted:
                point.consent, lifted = grant(point.consent, stamp)
            else:
                point.consent = revoke(point.consent, stamp, event_id)
                if stamp <= point.consent.granted:
                    lifted = [event_id]
            lift_address(out, lifted, channel, event.address, address_subject)
    else:
        _consent_level(out, event.channel or EVERYTHING, stamp, event_id, granted=granted)
    if granted:
        _free_from_everything(out, stamp)
    elif event.address is not None or event.channel is not None:
        change_person_hold(out, event_id, "consent_counted", keep=False)


def hold_placed(out: Folded, event_id: UUID, event: events.HoldPlaced, now: datetime) -> None:
    """A reason not to contact the person, until it is lifted or ends."""
    del now
    stamp = stamp_of(event.occurred_at, event_id)
    over = stamp <= out.state.holds_lifted.get(event.reason, "")
    if str(event_id) in out.state.person_holds:
        return
    if not over:
        out.state.person_holds[str(event_id)] = PersonHold(
            reason=event.reason, stamp=stamp, until=event.until
        )
    change_person_hold(out, event_id, event.reason, keep=not over, until=event.until)


def hold_lifted(out: Folded, event_id: UUID, event: events.HoldLifted, now: datetime) -> None:
    """A reason is gone: every hold placed for it before this ends."""
    del now
    state = out.state
    stamp = stamp_of(event.occurred_at, event_id)
    state.holds_lifted[event.reason] = max(state.holds_lifted.get(event.reason, ""), stamp)
    for key, held in list(state.person_holds.items()):
        if held.reason == event.reason and held.stamp <= stamp:
            del state.person_holds[key]
            change_person_hold(out, UUID(key), event.reason, keep=False)


def erasure_requested(
    out: Folded, event_id: UUID, event: events.ErasureRequested, now: datetime
) -> None:
    """The person asks to be forgotten: no contact any more."""
    del event, now
    out.state.erasure_requested = True
    change_person_hold(out, event_id, "erasure_requested", keep=True)


def contact_recorded(
    out: Folded, event_id: UUID, event: events.ContactRecorded, now: datetime
) -> None:
    """Somebody contacted the person elsewhere: it counts, and may be what a hand-off asked for.

    A wrong person silences the addresses.
    """
    del now
    state = out.state
    if str(event_id) not in state.past:  # a copy must not do what was asked for anew since
        hand_offs.recorded(out, event)
    state.past[str(event_id)] = PastContact(channel=event.channel, at=event.at)
    if event.outcome != "wrong_person":
        return
    stamp = stamp_of(event.occurred_at, event_id)
    reached = PHONE_CHANNELS if event.channel in PHONE_CHANNELS else (event.channel,)
    for channel in reached:
        state.wrong_person[channel] = max(state.wrong_person.get(channel, ""), stamp)
    change_person_hold(out, event_id, "wrong_person_counted", keep=False)


def _take_point(state: DebtorState, named: events.ContactPoint, stamp: str, event_id: UUID) -> None:
    point = point_at(state, named.channel, named.address)
    if stamp > point.stamp:
        point.stamp, point.verified = stamp, named.verified
    if named.consent == "revoked":
        at = stamp_of(named.consent_at, event_id) if named.consent_at else stamp
        point.consent = revoke(point.consent, at, None)
    elif named.consent == "granted":
        at = stamp_of(named.consent_at, event_id) if named.consent_at else NAMED_WITHOUT_DATE
        point.consent, _ = grant(point.consent, at)


def grant(current: Consent | None, stamp: str) -> tuple[Consent, list[UUID]]:
    """Return the consent after a grant, and the revocations whose holds it lifts."""
    consent = current or Consent()
    consent.granted = max(consent.granted, stamp)
    lifted = [key for key, revoked in consent.revoked_by.items() if revoked <= consent.granted]
    for key in lifted:
        del consent.revoked_by[key]
    return consent, [UUID(key) for key in lifted]


def _consent_level(out: Folded, level: str, stamp: str, event_id: UUID, *, granted: bool) -> None:
    consents = out.state.consents
    if granted:
        consents[level], lifted = grant(consents.get(level), stamp)
        for cause in lifted:
            change_person_hold(out, cause, "consent_granted", keep=False)
        return
    for_everything = level == EVERYTHING
    consent = consents[level] = revoke(
        consents.get(level), stamp, event_id if for_everything else None
    )
    if for_everything:
        keep = stamp > _newest_grant(out.state)
        if not keep:
            consent.revoked_by.pop(str(event_id), None)
        change_person_hold(out, event_id, "consent_revoked", keep=keep)


def _newest_grant(state: DebtorState) -> str:
    """Stamp of the newest grant at any level: after it, silence is no longer for everything."""
    levels = [*state.consents.values(), *(p.consent for p in state.points if p.consent)]
    return max((level.granted for level in levels), default="")


def _free_from_everything(out: Folded, stamp: str) -> None:
    """A grant newer than a revocation of everything narrows it: the policy silences the rest."""
    everything = out.state.consents.get(EVERYTHING)
    if everything is None or stamp <= everything.revoked:
        return
    for cause in everything.revoked_by:
        change_person_hold(out, UUID(cause), "consent_narrowed", keep=False)
    everything.revoked_by = {}


def lift_address(
    out: Folded, causes: list[UUID], channel: str, address: str, address_subject: object
) -> None:
    """Lift the address holds of revocations that a newer grant undid."""
    if not callable(address_subject) or not causes:
        return
    known = {(channel, address)} | {(point.channel, point.address) for point in out.state.points}
    # One opt-out may hold several addresses (`reach`): ids of holds that are not there do nothing.
    for subject in sorted(address_subject(*each) for each in known):
        out.hold_changes.extend(
            HoldChange(
                hold_id=hold_id(cause, "address", subject),
                state="lifted",
                reason="consent_granted",
            )
            for cause in causes
        )


def change_person_hold(
    out: Folded, cause: UUID, reason: str, *, keep: bool, until: datetime | None = None
) -> None:
    """Say what becomes of the debtor hold that intake placed for the event `cause`.

    Which of the ids that the person had by then it is on, the hold's own id says.
    """
    out.hold_changes.extend(
        HoldChange(
            hold_id=hold_id(cause, "debtor", subject),
            state="active" if keep else "lifted",
            reason=reason,
            until=until if keep else None,
        )
        for subject in debtor_subjects(out.state)
    )


def _channels_of(state: DebtorState, address: str) -> list[str]:
    """Channels on which an address is known; by its look when it is not."""
    known = sorted({point.channel for point in state.points if point.address == address})
    return known or (["email"] if "@" in address else ["sms", "whatsapp"])
