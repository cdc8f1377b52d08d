"""What the rules of WhatsApp say of a message that is about to go out; pure.

In: what is remembered of the person, the account's limits, law time. Out: a `Judgement`, or None
when the message may go. Free text needs the service window: 24 hours from the person's last
message. One business begins conversations with so many people in any 24 hours (its messaging
tier). What has to wait is handed back, not lost.
"""

from datetime import datetime, timedelta

import msgspec

from shared.sender.errors import ErrorKind
from shared.sender.memory import Judgement

DAY = timedelta(hours=24)
# A call may begin a second after it was judged and take eighteen more: it must still be inside.
WINDOW = DAY - timedelta(minutes=1)
PAIR_RATE_PER_MINUTE = 10.0  # what Meta allows: one message in six seconds to the same person
TIER_WAIT_SECONDS = 3_600.0  # room comes back as the day moves on
# People outside the service window to whom one business may begin to write in 24 hours.
TIERS: dict[str, int | None] = {
    "TIER_50": 50,
    "TIER_250": 250,
    "TIER_1K": 1_000,
    "TIER_2K": 2_000,
    "TIER_10K": 10_000,
    "TIER_100K": 100_000,
    "TIER_UNLIMITED": None,
}


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of one person at one number of ours; law time, None: never."""

    heard_at: datetime | None = None
    begun_at: datetime | None = None


def people_per_day(tier: str | None) -> int | None:
    """Return with how many people a tier lets conversations begin; None: no limit known here."""
    return TIERS.get(tier or "")


def window_open(standing: Standing, law: datetime) -> bool:
    """Say whether the person's last message is young enough for free text."""
    return standing.heard_at is not None and law < standing.heard_at + WINDOW


def begins(standing: Standing, law: datetime) -> bool:
    """Say whether a message now begins a conversation of ours with one more person."""
    if window_open(standing, law):
        return False
    return standing.begun_at is None or law >= standing.begun_at + DAY


def judge(
    standing: Standing,
    people_max: int | None,
    law: datetime,
    *,
    free_text: bool,
    begun_today: int,
) -> Judgement | None:
    """Say what is against a message now; `begun_today` are the people begun with in 24 hours."""
    if free_text and not window_open(standing, law):
        return Judgement(rule="service_window_closed", refused=ErrorKind.POLICY_REFUSED)
    full = people_max is not None and begun_today >= people_max
    if full and begins(standing, law):
        return Judgement(rule="messaging_tier", wait_seconds=TIER_WAIT_SECONDS)
    return None
