"""The states of a contact, as one table used by scheduler, senders and ledger.

A higher rank always replaces a lower one, whenever it comes; never the reverse (promise P8). The
balance class says where a contact is counted in: planned = withheld + cancelled + expired + failed
+ unknown + sent + open.
"""

from enum import IntEnum

import msgspec


class ContactState(IntEnum):
    """Rank of each state; compare with `<` to ask whether a fact moves a contact forward."""

    PLANNED = 0
    DISPATCHED = 10
    CLAIMED = 20
    UNKNOWN = 30
    UNKNOWN_FINAL = 35
    WITHHELD = 40
    CANCELLED = 41
    EXPIRED = 42
    FAILED = 43
    ACCEPTED = 50
    SENT = 60
    UNDELIVERED = 70
    DELIVERED = 80
    READ = 90


# The four states of rank 40 are one rank in the law of motion ("certain: nothing was accepted");
# they carry distinct numbers only so that one integer names the state. `rises` treats them as one.
CERTAIN_NON_SEND = frozenset(
    {
        ContactState.WITHHELD,
        ContactState.CANCELLED,
        ContactState.EXPIRED,
        ContactState.FAILED,
    }
)


class StateRow(msgspec.Struct, frozen=True):
    """What a state means for the balance and for the slot of its items."""

    balance_class: str
    final: bool
    frees_slot: bool
    counts_in_caps: bool


STATES: dict[ContactState, StateRow] = {
    ContactState.PLANNED: StateRow("open", final=False, frees_slot=False, counts_in_caps=False),
    ContactState.DISPATCHED: StateRow("open", final=False, frees_slot=False, counts_in_caps=True),
    ContactState.CLAIMED: StateRow("open", final=False, frees_slot=False, counts_in_caps=True),
    ContactState.UNKNOWN: StateRow("open", final=False, frees_slot=False, counts_in_caps=True),
    ContactState.UNKNOWN_FINAL: StateRow(
        "unknown", final=True, frees_slot=False, counts_in_caps=True
    ),
    ContactState.WITHHELD: StateRow("withheld", final=True, frees_slot=True, counts_in_caps=False),
    ContactState.CANCELLED: StateRow(
        "cancelled", final=True, frees_slot=True, counts_in_caps=False
    ),
    ContactState.EXPIRED: StateRow("expired", final=True, frees_slot=True, counts_in_caps=False),
    ContactState.FAILED: StateRow("failed", final=True, frees_slot=True, counts_in_caps=False),
    ContactState.ACCEPTED: StateRow("sent", final=True, frees_slot=False, counts_in_caps=True),
    ContactState.SENT: StateRow("sent", final=True, frees_slot=False, counts_in_caps=True),
    ContactState.UNDELIVERED: StateRow("sent", final=True, frees_slot=False, counts_in_caps=True),
    ContactState.DELIVERED: StateRow("sent", final=True, frees_slot=False, counts_in_caps=True),
    ContactState.READ: StateRow("sent", final=True, frees_slot=False, counts_in_caps=True),
}

# Which state a fact on contact.events.v1 puts its contact in; facts not listed move nothing.
STATE_AFTER: dict[str, ContactState] = {
    "contact.planned.v1": ContactState.PLANNED,
    "contact.dispatched.v1": ContactState.DISPATCHED,
    "contact.unknown.v1": ContactState.UNKNOWN,
    "contact.unknown_final.v1": ContactState.UNKNOWN_FINAL,
    "contact.withheld.v1": ContactState.WITHHELD,
    "contact.cancelled.v1": ContactState.CANCELLED,
    "contact.expired.v1": ContactState.EXPIRED,
    "contact.failed.v1": ContactState.FAILED,
    "contact.accepted.v1": ContactState.ACCEPTED,
    "contact.sent.v1": ContactState.SENT,
    "contact.undelivered.v1": ContactState.UNDELIVERED,
    "contact.delivered.v1": ContactState.DELIVERED,
    "contact.read.v1": ContactState.READ,
    "contact.replied.v1": ContactState.DELIVERED,
    "contact.opted_out.v1": ContactState.DELIVERED,
}


def rank(state: ContactState) -> int:
    """Return the rank that decides motion: the four certain non-sends share rank 40."""
    return 40 if state in CERTAIN_NON_SEND else int(state)


def rises(current: ContactState, new: ContactState) -> bool:
    """Say whether a fact for `new` moves a contact that is in `current`."""
    return rank(new) > rank(current)
