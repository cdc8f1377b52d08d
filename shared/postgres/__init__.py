"""PostgreSQL, once and for all services: the only importer of asyncpg and Alembic.

In: a service's own URL. Out: `open_pool` and typed connections (`engine`), group commit
(`batches`), migrations (`migrate`), the outbox and the relays that publish it (`outbox`, `relay`,
`lane`), offsets stored with the work (`offsets`).
"""

from shared.postgres.batches import BatchWriter
from shared.postgres.connection import (
    TRANSIENT_ERRORS,
    Connection,
    Pool,
    Row,
    UniqueViolation,
    is_away,
)
from shared.postgres.engine import LawClockReading, now, open_pool

__all__ = [
    "TRANSIENT_ERRORS",
    "BatchWriter",
    "Connection",
    "LawClockReading",
    "Pool",
    "Row",
    "UniqueViolation",
    "is_away",
    "now",
    "open_pool",
]
