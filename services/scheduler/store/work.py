"""Work items: opened by intake and planner, claimed and closed by people.

In: items inside the caller's transaction. Out: rows, and one `work_item.opened` / `.closed` fact
on contact.events.v1 for each item that really changed; of a hand-off that ends also
`handoff.closed` on its own topic. An item's id is derived from its cause, so the same cause found
again opens nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from services.scheduler.policy.drafts import HAND_OFF, WITHDRAWN, WorkItemEnd
from shared.events.contact import Reason, WorkItemFact
from shared.events.envelope import Envelope, encode
from shared.events.handoff import HANDOFF_CLOSED, HandoffClosed
from shared.events.identities import fact_id
from shared.events.topics import CONTACT_EVENTS, CONTACT_TASKS_HANDOFF
from shared.postgres import outbox
from shared.postgres.connection import Connection, Row

SOURCE = "regua/scheduler"
PAGE_ITEMS_MAX = 200  # one screen of a console and then some; pages follow by cursor


class NewWorkItem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that needs a human. `reasons` hold rules and codes for the console, no addresses.

    `work_item_id` is `fact_id(cause, kind)`; `opened_at` is law time; `episode` and `step_key` name
    the step of the debt that it is about, if any.
    """

    work_item_id: UUID
    tenant_id: str
    kind: str
    opened_at: datetime
    debtor_id: UUID | None = None
    debt_id: UUID | None = None
    contact_id: UUID | None = None
    event_id: UUID | None = None
    episode: int | None = None
    step_key: str | None = None
    reasons: tuple[Reason, ...] = ()
    deadline: datetime | None = None


class WorkItem(NewWorkItem, frozen=True, kw_only=True):
    """A stored item: `state` is open, claimed or closed."""

    state: str
    claimed_by: str | None = None
    claimed_at: datetime | None = None
    decision: str | None = None
    note: str | None = None
    closed_by: str | None = None
    closed_at: datetime | None = None


_COLUMNS = """work_item_id, tenant_id, kind, state, debtor_id, debt_id, contact_id, event_id,
    episode, step_key, reasons, opened_at, deadline, claimed_by, claimed_at, decision, note,
    closed_by, closed_at"""
_RETURNED = ", ".join(f"w.{name.strip()}" for name in _COLUMNS.split(","))


async def open_new(conn: Connection, items: Sequence[NewWorkItem]) -> list[NewWorkItem]:
    """Open items that are not there yet and return those; the caller states each (`opened`)."""
    if not items:
        return []
    rows = await conn.fetch(
        """
        INSERT INTO work_item (work_item_id, tenant_id, kind, state, debtor_id, debt_id,
                               contact_id, event_id, reasons, opened_at, deadline, episode,
                               step_key)
        SELECT id, tenant, kind, 'open', debtor, debt, contact, event, reasons, opened, deadline,
               episode, step
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[],
                    $7::uuid[], $8::bytea[], $9::timestamptz[], $10::timestamptz[], $11::int[],
                    $12::text[])
             AS u(id, tenant, kind, debtor, debt, contact, event, reasons, opened, deadline,
                  episode, step)
        ORDER BY id
        ON CONFLICT (work_item_id) DO NOTHING
        RETURNING work_item_id
        """,
        [i.work_item_id for i in items],
        [i.tenant_id for i in items],
        [i.kind for i in items],
        [i.debtor_id for i in items],
        [i.debt_id for i in items],
        [i.contact_id for i in items],
        [i.event_id for i in items],
        [msgspec.json.encode(i.reasons) for i in items],
        [i.opened_at for i in items],
        [i.deadline for i in items],
        [i.episode for i in items],
        [i.step_key for i in items],
    )
    new = {row["work_item_id"] for row in rows}
    return list({i.work_item_id: i for i in items if i.work_item_id in new}.values())


def opened(item: NewWorkItem, machine: datetime) -> tuple[str, Envelope]:
    """Return the fact that an item was opened, for the caller's outbox."""
    return CONTACT_EVENTS.name, _fact("work_item.opened.v1", item, item.opened_at, machine)


async def claim(
    conn: Connection, *, tenant_id: str, work_item_id: UUID, actor: str
) -> WorkItem | None:
    """Take an open item (or keep one's own); None when it is not there or not free."""
    row = await conn.fetchrow(
        f"""
        UPDATE work_item SET state = 'claimed', claimed_by = $3,
               claimed_at = coalesce(claimed_at, platform.machine_now())
        WHERE tenant_id = $1 AND work_item_id = $2
          AND (state = 'open' OR (state = 'claimed' AND claimed_by = $3))
        RETURNING {_COLUMNS}
        """,  # noqa: S608 - a constant column list
        tenant_id,
        work_item_id,
        actor,
    )
    return None if row is None else _item(row)


async def close(
    conn: Connection,
    *,
    tenant_id: str,
    work_item_id: UUID,
    actor: str,
    decision: str,
    note: str | None = None,
) -> WorkItem | None:
    """Close an item that is open or claimed by this actor, with its fact; None otherwise."""
    row = await conn.fetchrow(
        f"""
        UPDATE work_item SET state = 'closed', decision = $4, note = $5, closed_by = $3,
               closed_at = platform.law_now()
        WHERE tenant_id = $1 AND work_item_id = $2
          AND (state = 'open' OR (state = 'claimed' AND claimed_by = $3))
        RETURNING {_COLUMNS}, platform.machine_now() AS machine_at
        """,  # noqa: S608 - a constant column list
        tenant_id,
        work_item_id,
        actor,
        decision,
        note,
    )
    if row is None:
        return None
    item = _item(row)
    await _state_closed(conn, [item], row["machine_at"])
    return item


async def close_for_debts(
    conn: Connection, *, kind: str, debt_ids: Sequence[UUID], decision: str
) -> int:
    """Close what a later event answered (the debt was registered after all); return how many."""
    rows = await conn.fetch(
        f"""
        UPDATE work_item SET state = 'closed', decision = $3, closed_by = 'scheduler',
               closed_at = platform.law_now()
        WHERE debt_id = ANY($2::uuid[]) AND kind = $1 AND state <> 'closed'
        RETURNING {_COLUMNS}, platform.machine_now() AS machine_at
        """,  # noqa: S608 - a constant column list
        kind,
        list(debt_ids),
        decision,
    )
    if rows:
        await _state_closed(conn, [_item(row) for row in rows], rows[0]["machine_at"])
    return len(rows)


async def close_found(
    conn: Connection, endings: Sequence[WorkItemEnd], *, actor: str
) -> list[tuple[str, Envelope]]:
    """Close items that are still open or claimed; return their facts for the caller's outbox.

    The rule of an ending becomes the item's note. What a person closed first stays as it is.
    """
    if not endings:
        return []
    rows = await conn.fetch(
        f"""
        UPDATE work_item AS w SET state = 'closed', decision = u.decision, note = u.rule,
               closed_by = $4, closed_at = platform.law_now()
        FROM unnest($1::uuid[], $2::text[], $3::text[]) AS u(id, decision, rule)
        WHERE w.work_item_id = u.id AND w.state <> 'closed'
        RETURNING {_RETURNED}, platform.machine_now() AS machine_at
        """,  # noqa: S608 - a constant column list
        [each.work_item_id for each in endings],
        [each.decision for each in endings],
        [each.rule for each in endings],
        actor,
    )
    return [fact for row in rows for fact in _closing(_item(row), row["machine_at"])]


async def find(conn: Connection, *, tenant_id: str, work_item_id: UUID) -> WorkItem | None:
    """One item of this tenant."""
    row = await conn.fetchrow(
        f"SELECT {_COLUMNS} FROM work_item WHERE tenant_id = $1 AND work_item_id = $2",  # noqa: S608
        tenant_id,
        work_item_id,
    )
    return None if row is None else _item(row)


async def page(
    conn: Connection, *, tenant_id: str, state: str, after: UUID | None, limit: int
) -> list[WorkItem]:
    """One page of a tenant's items in one state, by id."""
    rows = await conn.fetch(
        f"""
        SELECT {_COLUMNS} FROM work_item
        WHERE tenant_id = $1 AND state = $2 AND work_item_id > $3
        ORDER BY work_item_id LIMIT $4
        """,  # noqa: S608 - a constant column list
        tenant_id,
        state,
        after or UUID(int=0),
        min(limit, PAGE_ITEMS_MAX),
    )
    return [_item(row) for row in rows]


async def _state_closed(conn: Connection, items: Sequence[WorkItem], machine_at: datetime) -> None:
    await outbox.append(conn, [fact for item in items for fact in _closing(item, machine_at)])


def _closing(item: WorkItem, machine_at: datetime) -> list[tuple[str, Envelope]]:
    """Return what is said when an item closes; of a hand-off outside systems are told, too."""
    at = item.closed_at or item.opened_at
    facts = [(CONTACT_EVENTS.name, _fact("work_item.closed.v1", item, at, machine_at))]
    if item.kind == HAND_OFF and item.debtor_id is not None and item.debt_id is not None:
        data = HandoffClosed(
            work_item_id=item.work_item_id,
            debtor_id=item.debtor_id,
            tenant_id=item.tenant_id,
            debt_id=item.debt_id,
            outcome=item.decision or "",
            at=at,
            machine_at=machine_at,
            reason=item.note if item.decision == WITHDRAWN else None,  # people's notes stay here
            episode=item.episode,
            step_key=item.step_key,
        )
        closed = _envelope(HANDOFF_CLOSED, item, at, data)
        facts.append((CONTACT_TASKS_HANDOFF.name, closed))
    return facts


def _fact(kind: str, item: NewWorkItem, at: datetime, machine_at: datetime) -> Envelope:
    closed = item if isinstance(item, WorkItem) else None
    data = WorkItemFact(
        work_item_id=item.work_item_id,
        kind=item.kind,
        at=at,
        machine_at=machine_at,
        debtor_id=item.debtor_id,
        debt_id=item.debt_id,
        contact_id=item.contact_id,
        decision=closed.decision if closed else None,
        actor=closed.closed_by if closed else None,
        episode=item.episode,
        step_key=item.step_key,
    )
    return _envelope(kind, item, at, data)


def _envelope(kind: str, item: NewWorkItem, at: datetime, data: msgspec.Struct) -> Envelope:
    return Envelope(
        id=fact_id(item.work_item_id, kind),
        type=kind,
        source=SOURCE,
        time=at,
        key=str(item.debtor_id or item.debt_id or item.work_item_id),
        tenant_id=item.tenant_id,
        data=encode(data),
        expires_at=item.deadline if kind == HANDOFF_CLOSED else None,
    )


def _item(row: Row) -> WorkItem:
    values = {name: row[name] for name in WorkItem.__struct_fields__}
    values["reasons"] = msgspec.json.decode(values["reasons"], type=tuple[Reason, ...])
    return WorkItem(**values)
