"""The five KPIs of collections, pure: counts in, ratios out.

In: the counts of one period P over the accounts A that were assigned at any time in P
(`store.kpis` makes them by SQL). Out: the ratios; an empty denominator gives None, never 0. What is
counted as what is decided by the small functions here, so that SQL and Python agree on one text.

Definitions. An *account* is a debt. An *attempt* is a contact that a provider accepted (retries of
one contact count once; a call made by a person counts as one). A *contact* is a delivered or
answered one. A *right-party contact* is one with a signal that confirms the person. A *promise* is
made in P; it is *due* in P when its date, in the portfolio's zone, falls in P and it was not
withdrawn by then; it is *kept* when the payments of its debt from the day it was made up to its
date plus the portfolio's grace reach the promised amount (a promise without an amount, about the
whole balance, when the planner found it kept for each of its debts); it is *broken* when it is due,
not kept, and its grace is over.
"""

import msgspec

GRACE_DAYS = 3  # domain rule: a promise paid within three days of its date is kept

# What a person, dialer or letter house can report, and what it proves.
REACHED_OUTCOMES = frozenset(
    {"answered", "right_party", "promise", "delivered_notice", "wrong_person"}
)
RIGHT_PARTY_OUTCOMES = frozenset({"right_party", "promise"})
# Somebody else answered: the one reply that speaks against the person.
WRONG_PARTY_INTENTS = frozenset({"wrong_person"})


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What is counted over period P and account set A; all are whole numbers of things."""

    accounts_assigned: int = 0
    accounts_attempted: int = 0
    accounts_contacted: int = 0
    attempts: int = 0
    contacts: int = 0
    right_party_contacts: int = 0
    promises: int = 0
    promises_due: int = 0
    promises_broken: int = 0
    promises_kept: int = 0


class Kpis(msgspec.Struct, frozen=True, kw_only=True):
    """The ratios; None where there is nothing to divide by."""

    penetration: float | None
    intensity: float | None
    rpc: float | None
    ptp: float | None
    kp_of_promises: float | None
    kp_of_due: float | None


def ratios(counts: Counts) -> Kpis:
    """Return the KPIs of `counts`."""
    return Kpis(
        penetration=_ratio(counts.accounts_contacted, counts.accounts_assigned),
        intensity=_ratio(counts.attempts, counts.accounts_attempted),
        rpc=_ratio(counts.right_party_contacts, counts.contacts),
        ptp=_ratio(counts.promises, counts.right_party_contacts),
        kp_of_promises=_ratio(counts.promises_kept, counts.promises),
        kp_of_due=_ratio(counts.promises_kept, counts.promises_due),
    )


def reply_confirms_person(intent: str, *, right_party: bool) -> bool:
    """Say whether a reply confirms the person: it comes from their address and denies nothing."""
    return right_party or intent not in WRONG_PARTY_INTENTS


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
