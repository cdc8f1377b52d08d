"""How far a sender is: what a driver of the stepped clock, or an operator, asks.

In: the parts of the process and the database. Out: monotone counters, what is pending (0 when
drained: tasks, calls, retries, webhooks, outboxes), and when the next unknown attempt becomes
final (law time).
"""

import msgspec

from shared.http.server import Progress
from shared.kafka.client import ConnectionFailures
from shared.kafka.ends import LogEnds
from shared.postgres import Pool
from shared.postgres.lane import LaneRelay
from shared.postgres.relay import Relay
from shared.sender.deliver import Deliverer
from shared.sender.endings import Sweeper
from shared.sender.feed import TaskFeed
from shared.sender.receipts import Interpreter
from shared.sender.store import endings, outcomes
from shared.sender.webhooks import Webhooks

UNKNOWN_LAG = 1  # the broker does not answer: something may be pending, so nobody jumps ahead


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask."""

    pool: Pool
    feed: TaskFeed
    deliverer: Deliverer
    sweeper: Sweeper
    interpreter: Interpreter
    webhooks: Webhooks
    relay: Relay
    lane: LaneRelay
    ends: LogEnds
    abandoned_after_seconds: float


async def progress(parts: Parts) -> Progress:
    """Ask everybody, in the order of the flow, so that nothing slips between two looks."""
    lag = await _lag(parts)
    pending: dict[str, int] = {
        "tasks_lag": lag,
        "tasks_waiting": parts.feed.pending(),
        "calls": parts.deliverer.pending(),
        "webhooks": parts.webhooks.pending(),
    }
    async with parts.pool.acquire() as conn:
        pending["retries"] = await outcomes.retries_waiting(conn)
        pending["claims_abandoned"] = await endings.abandoned(conn, parts.abandoned_after_seconds)
        due, law = await endings.next_resolve_by(conn)
    pending |= parts.interpreter.pending()
    pending["unknown_due"] = int(due is not None and due < law)
    pending["hold_outbox"] = await parts.lane.count_pending()
    pending["outbox"] = await parts.relay.count_pending()
    return Progress(
        counters={
            "tasks_fetched": parts.feed.fetched_total,
            "tasks_settled": parts.deliverer.settled_total,
            "calls": parts.deliverer.called_total,
            "receipts": parts.interpreter.interpreted_total,
            "swept": parts.sweeper.swept_total,
            "outbox_published": parts.relay.published_total,
            "outbox_batches": parts.relay.batches_total,
            "holds_published": parts.lane.published_total,
        },
        pending=pending,
        next_due=due,
    )


async def _lag(parts: Parts) -> int:
    try:
        ends = await parts.ends.ask()
    except ConnectionFailures:
        return UNKNOWN_LAG
    async with parts.pool.acquire() as conn:
        return await parts.feed.lag(conn, ends)
