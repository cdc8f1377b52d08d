"""Table of work items: what needs a human, who took it, what was decided."""

from sqlalchemy import (
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    text,
)


def describe(metadata: MetaData) -> None:
    """Add the work item table to `metadata`."""
    instant = DateTime(timezone=True)
    item = Table(
        "work_item",
        metadata,
        Column("work_item_id", Uuid, primary_key=True),
        Column("tenant_id", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("debtor_id", Uuid),
        Column("debt_id", Uuid),
        Column("contact_id", Uuid),
        Column("event_id", Uuid),
        Column("reasons", LargeBinary, nullable=False),
        Column("opened_at", instant, nullable=False),
        Column("deadline", instant),
        Column("claimed_by", Text),
        Column("claimed_at", instant),
        Column("decision", Text),
        Column("note", Text),
        Column("closed_by", Text),
        Column("closed_at", instant),
        Column("episode", Integer),
        Column("step_key", Text),
    )
    Index("work_item_listed", item.c.tenant_id, item.c.state, item.c.work_item_id)
    Index("work_item_open", item.c.opened_at, postgresql_where=text("state <> 'closed'"))
    Index("work_item_debt", item.c.debt_id, postgresql_where=text("state <> 'closed'"))
