"""Tables of holds (a row has the newest version; history is the topic and the ledger) and lifts."""

from sqlalchemy import Column, DateTime, Index, Integer, MetaData, Table, Text, Uuid, text


def describe(metadata: MetaData) -> None:
    """Add the hold table to `metadata` (its outbox lane is `shared.postgres.outbox`'s)."""
    instant = DateTime(timezone=True)
    hold = Table(
        "hold",
        metadata,
        Column("hold_id", Uuid, primary_key=True),
        Column("tenant_id", Text, nullable=False),
        Column("scope", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("version", Integer, nullable=False),
        Column("state", Text, nullable=False),
        Column("placed_at", instant, nullable=False),
        Column("until", instant),
        Column("lifted_at", instant),
        Column("origin", Text, nullable=False),
    )
    Table(
        "lift",
        metadata,
        Column("shard", Integer, primary_key=True, autoincrement=False),
        Column("hold_id", Uuid, primary_key=True),
        Column("tenant_id", Text, nullable=False),
    )
    Index("hold_active", hold.c.subject, postgresql_where=text("state = 'active'"))
    Index("hold_tenant", hold.c.tenant_id, hold.c.placed_at, hold.c.hold_id)
