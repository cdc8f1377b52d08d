"""Keep a debtor's state small: final contacts shrink, and are forgotten once no cap counts them.

In: a debtor's state, `now`. Out: the same state with less in it.
"""

from datetime import datetime, timedelta

from services.scheduler.policy.state import DebtorState
from shared.events.states import STATES, ContactState

# Caps count at most 45 dates back; a week more covers zones and late receipts.
CONTACTS_KEPT_DAYS = 52
CONTACTS_KEPT_FREELY = 6  # pruning fewer saves nothing


def slim(state: DebtorState) -> None:
    """Keep of a final contact what caps and late facts need."""
    for record in state.contacts.values():
        if record.due_at is not None and STATES[ContactState(record.state)].final:
            record.at = record.at or record.due_at
            record.due_at = record.not_before = record.not_after = None
            record.template_id = record.content_class = record.account_id = ""


def prune(state: DebtorState, now: datetime) -> None:
    """Forget final contacts that no cap can count any more."""
    if len(state.contacts) <= CONTACTS_KEPT_FREELY:
        return
    oldest = now - timedelta(days=CONTACTS_KEPT_DAYS)
    for key, record in list(state.contacts.items()):
        last = record.at or record.due_at
        if last is not None and last < oldest and STATES[ContactState(record.state)].final:
            del state.contacts[key]
    for key, past in list(state.past.items()):
        if past.at < oldest:
            del state.past[key]
