"""Explain: what would happen to a debtor now, why not, and when next.

In: a debtor's stored state, the rulebook and the active holds, read in one transaction. Out: the
policy's own answer, from the code that plans and dispatches (`policy.explain` runs both on a
copy). Nothing is written.
"""

from datetime import datetime
from uuid import UUID

import msgspec

from services.scheduler.policy.explain import explain
from services.scheduler.policy.state import decode
from services.scheduler.rulebooks import Rulebooks
from services.scheduler.store import holds as hold_store
from services.scheduler.store import planning as store
from services.scheduler.working_set import hold_subjects
from shared.postgres.engine import Connection


class NotFound(LookupError):
    """This tenant has no such debtor, or nothing about it was planned yet."""


async def explain_debtor(
    conn: Connection,
    rulebooks: Rulebooks,
    *,
    tenant_id: str,
    debtor_id: UUID,
    at: datetime | None = None,
) -> msgspec.Struct:
    """Explain one debtor at `at` (law time; None: now). Raise `NotFound`."""
    states = await store.load_debtors(conn, [debtor_id])
    if debtor_id not in states:
        raise NotFound(str(debtor_id))
    state = decode(states[debtor_id])
    if tenant_id not in ("*", state.tenant_id):
        raise NotFound(str(debtor_id))
    holds = await hold_store.active_for(conn, hold_subjects(state))
    law, _ = await store.clocks(conn)
    return explain(state, rulebooks.of(state.tenant_id), holds, at or law)
