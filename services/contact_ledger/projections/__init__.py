"""Fold facts into changes of the projections: pure, in any order, any number of batches.

In: the facts that were really added to the ledger. Out: one change per contact, account, promise,
payment and reply. Every field merges by a rule that does not ask which fact came first (earliest,
latest, first known, any, union), and the store merges into its rows by the same rules; only the
state of a contact follows the law of motion (`states.rises`): a higher rank replaces a lower one,
never the reverse, and of equal ranks the one recorded first stays.
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from services.contact_ledger.changes import Changes
from services.contact_ledger.facts import Fact
from services.contact_ledger.projections import contacts, debts
from shared.events import contact as contact_events
from shared.events import debt as debt_events

_FOLDERS: dict[type[msgspec.Struct], Callable[[Changes, Fact, Any], None]] = {
    contact_events.ContactDecided: contacts.decided,
    contact_events.ContactAttempted: contacts.attempted,
    contact_events.ContactReceipt: contacts.received,
    contact_events.ContactReply: contacts.replied,
    contact_events.DebtFact: debts.concluded,
    debt_events.DebtRegistered: debts.registered,
    debt_events.DebtCancelled: debts.withdrawn,
    debt_events.PromiseMade: debts.promised,
    debt_events.PromiseCancelled: debts.promise_withdrawn,
    debt_events.PaymentReceived: debts.paid,
    debt_events.PaymentReversed: debts.payment_reversed,
    debt_events.DebtorMerged: debts.merged,
    debt_events.ContactRecorded: contacts.recorded,
}


def fold(facts: Iterable[Fact]) -> Changes:
    """Return what `facts`, in their order, change."""
    changes = Changes()
    for fact in facts:
        folder = _FOLDERS.get(type(fact.data))
        if folder is not None:
            folder(changes, fact, fact.data)
    return changes
