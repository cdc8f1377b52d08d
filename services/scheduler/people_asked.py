"""What people are asked, and no longer asked, by one planning transaction.

In: drafts and endings of work items, as folding and deciding made them. Out: rows, one fact for
each that really changed, and for hand-offs a record on their topic, all in the caller's outbox.
What ends is said before what is asked anew.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from services.scheduler import plans
from services.scheduler.outbound import Outbound
from services.scheduler.policy.drafts import WorkItemDraft, WorkItemEnd
from services.scheduler.policy.state import DebtorState
from services.scheduler.store import work
from shared.postgres.connection import Connection

BY_US = "scheduler"  # who closes an item that events, not people, have answered


async def write(
    conn: Connection,
    out: Outbound,
    debtors: Mapping[UUID, DebtorState],
    *,
    drafts: Sequence[WorkItemDraft],
    endings: Sequence[WorkItemEnd],
) -> None:
    """Close what ended, open what is new."""
    out.add(await work.close_found(conn, endings, actor=BY_US))
    asked = {}
    for draft in drafts:
        state = debtors[draft.debtor_id]
        item = plans.work_item(state, draft, out.law)
        asked[item.work_item_id] = (item, state, draft.request)
    for item in await work.open_new(conn, [item for item, _, _ in asked.values()]):
        out.add([work.opened(item, out.machine)])
        _, state, request = asked[item.work_item_id]
        if request is not None:
            out.ask(state, request)
