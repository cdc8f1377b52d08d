"""How far an opt-out or a wrong address reaches: the holds that keep every other message back.

In: a fact about a debtor, the debtor's state after folding it, the rulebook. Out: holds to place.
The sender that heard STOP holds that address on its own channel at once; the same number is used by
other senders, and a pack may widen an opt-out to the channel or the person. Whose number it is not
is nobody's of this tenant: the hold is on the address, so it binds every debtor who is said to have
it. Each hold is lifted like that of the sender, by a newer consent for its address.
"""

from datetime import datetime
from uuid import UUID

import msgspec

from services.scheduler.policy.consent import PHONE_CHANNELS
from services.scheduler.policy.drafts import HoldDraft
from services.scheduler.policy.jurisdiction import OPT_OUT_ORDER, resolve
from services.scheduler.policy.rulebook import Rulebook
from services.scheduler.policy.setting import AddressSubject
from services.scheduler.policy.state import DebtorState, Point
from shared.events.contact import ContactFactBase, ContactReply
from shared.events.identities import hold_id

# Messages' channels, and those of people: hand-offs name their addresses' holds, too.
HELD_CHANNELS = ("sms", "email", "whatsapp", "voice", "letter")
OPTED_OUT = "contact.opted_out.v1"
COMPLAINED = "contact.complained.v1"
REPLIED = "contact.replied.v1"
TELLING = frozenset({OPTED_OUT, COMPLAINED, REPLIED})


def holds_after(
    state: DebtorState,
    event_type: str,
    event_id: UUID,
    fact: msgspec.Struct,
    rulebook: Rulebook,
    now: datetime,
    address_subject: AddressSubject,
) -> list[HoldDraft]:
    """Return the holds that follow from this fact; the same fact again asks for the same ones."""
    if event_type not in TELLING or not isinstance(fact, ContactFactBase):
        return []
    record = state.contacts.get(str(fact.contact_id))
    address = record.address if record is not None else None
    if address is None:
        return []
    cause = fact.reply_id if isinstance(fact, ContactReply) else event_id
    if event_type == REPLIED:
        if not _wrong_person(fact):
            return []
        reached, reason = _everywhere(address, fact.channel), "wrong_person"
    else:
        reached = _opted_out(state, address, fact.channel, _scope(state, fact, rulebook, now))
        reason = "complained" if event_type == COMPLAINED else "opted_out"
    if event_type == OPTED_OUT:
        reached.discard((fact.channel, address))  # its sender holds that one already
    return [
        _hold(cause, address_subject(channel, other), reason)
        for channel, other in sorted(reached)
        if channel in HELD_CHANNELS
    ]


def _wrong_person(fact: ContactFactBase) -> bool:
    return isinstance(fact, ContactReply) and fact.intent == "wrong_person" and fact.confident


def _everywhere(address: str, channel: str) -> set[tuple[str, str]]:
    """A number is the same number on every channel that dials it."""
    channels = PHONE_CHANNELS if channel in PHONE_CHANNELS else (channel,)
    return {(name, address) for name in channels}


def _opted_out(state: DebtorState, address: str, channel: str, scope: str) -> set[tuple[str, str]]:
    def covers(point: Point) -> bool:
        if scope == "debtor":
            return True
        return point.address == address or (scope == "channel" and point.channel == channel)

    wider = {(point.channel, point.address) for point in state.points if covers(point)}
    return wider | {(channel, address)}


def _scope(state: DebtorState, fact: ContactFactBase, rulebook: Rulebook, now: datetime) -> str:
    """Return the widest scope that the packs of this person give an opt-out, in any portfolio."""
    portfolios = {debt.portfolio_id for debt in state.debts.values() if debt.portfolio_id}
    scopes = ["address"]
    for portfolio_id in portfolios:
        jurisdiction = resolve(state, portfolio_id, rulebook)
        day = now.astimezone(jurisdiction.zone).date()
        scopes.append(jurisdiction.on(fact.channel, day).opt_out_scope)
    return max(scopes, key=OPT_OUT_ORDER.index)


def _hold(cause: UUID, subject: str, reason: str) -> HoldDraft:
    return HoldDraft(
        hold_id=hold_id(cause, "address", subject), scope="address", subject=subject, reason=reason
    )
