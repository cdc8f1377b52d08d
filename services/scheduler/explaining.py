"""Explain: what would happen to a debtor now, why not, and when next.

In: a debtor's stored state, the rulebook and the active holds, read in one transaction. Out: the
policy's own answer, from the code that plans and dispatches (`policy.explain` runs both on a
copy). Nothing is written.
"""

from contextlib import suppress
from datetime import datetime
from functools import partial
from uuid import UUID

from services.scheduler.binding_holds import hold_subjects
from services.scheduler.policy import permit
from services.scheduler.policy.explain import Explanation, explain
from services.scheduler.policy.state import decode
from services.scheduler.rulebooks import AddressSubjectOf, Rulebooks
from services.scheduler.store import debtors, shards
from services.scheduler.store import holds as hold_store
from shared.postgres.connection import Connection


class NotFound(LookupError):
    """This tenant has no such debtor, or nothing about it was planned yet."""


async def explain_debtor(
    conn: Connection,
    rulebooks: Rulebooks,
    *,
    tenant_id: str,
    debtor_id: UUID,
    address_subject_of: AddressSubjectOf,
    at: datetime | None = None,
) -> Explanation:
    """Explain one debtor, or whom it was merged into, at `at` (law time; None: now).

    Raise `NotFound`.
    """
    states = await debtors.load_debtors(conn, [debtor_id])
    if debtor_id not in states:
        raise NotFound(str(debtor_id))
    state = decode(states[debtor_id])
    if tenant_id not in ("*", state.tenant_id):
        raise NotFound(str(debtor_id))
    if state.merged_into is not None:
        with suppress(NotFound):  # nothing was handed over yet: the empty state has the answer
            return await explain_debtor(
                conn,
                rulebooks,
                tenant_id=tenant_id,
                debtor_id=state.merged_into,
                address_subject_of=address_subject_of,
                at=at,
            )
    rulebook = rulebooks.of(state.tenant_id)
    address_subject = partial(address_subject_of, state.tenant_id)
    subjects = hold_subjects(state) + permit.of_planned(state, rulebook, address_subject)
    subjects += [address_subject(point.channel, point.address) for point in state.points]
    holds = await hold_store.active_for(conn, subjects)
    law, _ = await shards.clocks(conn)
    return explain(state, rulebook, holds, at or law, address_subject)
