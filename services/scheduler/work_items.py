"""Work items: what needs a human, claimed and decided by people.

In: the API's requests. Out: rows of `work_item` and facts on contact.events.v1 (`.closed` carries
the decision, which the planner folds). Which decisions a kind takes is `decisions`' data.
Discarding a parked event also forgets the event and lifts the hold on the debt it named: that debt
will never come.
"""

from collections.abc import Callable
from typing import NoReturn
from uuid import UUID

from services.scheduler.decisions import DISCARD, allowed
from services.scheduler.intake.resolve import IDENTITY_COLLISION
from services.scheduler.intake.stops import parked_hold
from services.scheduler.intake.transaction import PARKED_EVENT
from services.scheduler.policy.drafts import HoldChange
from services.scheduler.store import holds as hold_store
from services.scheduler.store import intake as intake_store
from services.scheduler.store import work as store
from services.scheduler.store.work import WorkItem
from shared.http.problems import FieldError, Problem, invalid
from shared.postgres.connection import Connection, Pool
from shared.telemetry.logs import get_logger

NOT_FOUND = 404
CONFLICT = 409

log = get_logger(__name__)


class WorkItems:
    """Claims and decisions. `wake` tells the relays to publish at once."""

    def __init__(self, pool: Pool, *, wake: Callable[[], None]) -> None:
        self._pool = pool
        self._wake = wake

    async def claim(self, *, tenant_id: str, work_item_id: UUID, actor: str) -> WorkItem:
        """Take an item; raise 409 when somebody else has it or it is closed."""
        async with self._pool.transaction() as conn:
            item = await store.claim(
                conn, tenant_id=tenant_id, work_item_id=work_item_id, actor=actor
            )
            return item or await _missing(conn, tenant_id, work_item_id)

    async def decide(
        self, *, tenant_id: str, work_item_id: UUID, actor: str, decision: str, note: str | None
    ) -> WorkItem:
        """Close an item with a decision of its kind; raise 422 for another word.

        Raise 409 when somebody else has it or it is closed.
        """
        async with self._pool.transaction() as conn:
            known = await store.find(conn, tenant_id=tenant_id, work_item_id=work_item_id)
            if known is None:
                raise Problem(NOT_FOUND)
            _check(known, decision)
            closed = await store.close(
                conn,
                tenant_id=tenant_id,
                work_item_id=work_item_id,
                actor=actor,
                decision=decision,
                note=note,
            )
            item = closed or await _missing(conn, tenant_id, work_item_id)
            if decision == DISCARD and item.debt_id is not None:
                await _discard(conn, item.tenant_id, item.debt_id)
        self._wake()
        log.info("close_work_item", work_item_id=str(work_item_id), decision=decision)
        return item


def _check(item: WorkItem, decision: str) -> None:
    words = allowed(item.kind)
    if decision not in words:
        remedy = f"use {' or '.join(words)}"
        raise invalid(
            [FieldError(field="decision", message=f"not a decision on {item.kind}", remedy=remedy)]
        )


async def _missing(conn: Connection, tenant_id: str, work_item_id: UUID) -> NoReturn:
    """Say why an item cannot be taken: it is not there, or not free."""
    known = await store.find(conn, tenant_id=tenant_id, work_item_id=work_item_id)
    if known is None:
        raise Problem(NOT_FOUND)
    detail = f"The item is {known.state}; list the open items and take another."
    raise Problem(CONFLICT, "The item is not free", detail, "work-item-not-free")


async def _discard(conn: Connection, tenant_id: str, debt_id: UUID) -> None:
    await intake_store.discard_parked(conn, tenant_id, debt_id)
    hold_id = parked_hold(tenant_id, debt_id).hold_id
    change = HoldChange(hold_id=hold_id, state="lifted", reason="parked_event_discarded")
    await hold_store.change(conn, [change])
    for kind in (PARKED_EVENT, IDENTITY_COLLISION):
        await store.close_for_debts(conn, kind=kind, debt_ids=[debt_id], decision=DISCARD)
