"""Consent: which address of the debtor may be used on a channel, if any.

In: points with what the client, the debtor and providers said about them. Out: the best point, or
the reason why there is none. A revocation is undone only by a newer grant at least as narrow; packs
may ask for consent before the first contact and widen an opt-out to the channel or the person. The
best address is the one that may be used, arrived last time, and from which the debtor answered.
"""

from collections.abc import Callable

from services.scheduler.policy.state import Consent, DebtorState, Point

PHONE_CHANNELS = ("sms", "whatsapp", "voice")
EVERYTHING = "*"

Held = Callable[[Point], bool]  # whether a hold is on this address


def phone_points(state: DebtorState) -> list[Point]:
    """Return the phone numbers that the client names now: they tell where the person may be."""
    return [
        point for point in state.points if usable(state, point) and point.channel in PHONE_CHANNELS
    ]


def usable(state: DebtorState, point: Point) -> bool:
    """Say whether the client names this point now."""
    return bool(point.stamp) and point.stamp >= state.points_stamp


def pick_point(
    state: DebtorState,
    channel: str,
    *,
    opt_in: bool,
    opt_out_scope: str,
    held: Held = lambda _: False,
) -> Point | str:
    """Return the point to use, or the reason why none may be: a rule's name."""
    if _opted_out_widely(state, channel, opt_out_scope):
        return "consent_revoked"
    best: Point | None = None
    why = "no_address"
    for point in state.points:
        if point.channel != channel or not usable(state, point):
            continue
        refusal = _refusal(state, point, opt_in=opt_in)
        if refusal is None and held(point):
            refusal = "address_held"
        if refusal is not None:
            why = refusal
        elif best is None or _worth(state, point) > _worth(state, best):
            best = point
    return best if best is not None else why


def points_by_worth(
    state: DebtorState, channel: str, *, opt_in: bool, opt_out_scope: str, held: Held
) -> list[Point]:
    """Return every point that may be used on a channel, best first: people may try several."""
    if _opted_out_widely(state, channel, opt_out_scope):
        return []
    found = [
        point
        for point in state.points
        if point.channel == channel
        and usable(state, point)
        and _refusal(state, point, opt_in=opt_in) is None
        and not held(point)
    ]
    return sorted(found, key=lambda point: _worth(state, point), reverse=True)


def consent_for(state: DebtorState, point: Point) -> str:
    """Return granted, revoked or unknown for one point, over all levels."""
    own = point.consent
    channel = state.consents.get(point.channel)
    everything = state.consents.get(EVERYTHING)
    if own is None and channel is None and everything is None:
        return "unknown"
    narrower: list[Consent] = []
    granted = False
    for level in (own, channel, everything):
        if level is None:
            continue
        if level.state == "revoked" and not any(
            n.state == "granted" and n.stamp > level.stamp for n in narrower
        ):
            return "revoked"
        granted = granted or level.state == "granted"
        narrower.append(level)
    return "granted" if granted else "unknown"


def _refusal(state: DebtorState, point: Point, *, opt_in: bool) -> str | None:
    if point.suppressed is not None:
        return "address_suppressed"
    if point.stamp <= state.wrong_person.get(point.channel, ""):
        return "wrong_person"
    consent = consent_for(state, point)
    if consent == "revoked":
        return "consent_revoked"
    if opt_in and consent != "granted":
        return "consent_missing"
    return None


def _opted_out_widely(state: DebtorState, channel: str, scope: str) -> bool:
    if scope == "address":
        return False
    return any(
        consent_for(state, point) == "revoked"
        for point in state.points
        if scope == "debtor" or point.channel == channel
    )


def _worth(state: DebtorState, point: Point) -> tuple[bool, bool, bool, bool, bool, str, str]:
    return (
        consent_for(state, point) == "granted",
        point.failed <= point.reached,  # an address that failed last time comes behind others
        point.right_party,
        point.verified,
        bool(point.reached),
        point.stamp,
        point.address,
    )
