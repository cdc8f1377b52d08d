"""Tables of planner and dispatcher, as metadata for migrations and their check."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)


def describe(metadata: MetaData) -> None:
    """Add the planning tables to `metadata`."""
    instant = DateTime(timezone=True)
    Table(
        "shard",
        metadata,
        Column("partition", Integer, primary_key=True, autoincrement=False),
        Column("epoch", BigInteger, nullable=False),
        Column("cluster_id", Text, nullable=False),
        Column("debt_offset", BigInteger, nullable=False),
        Column("contact_offset", BigInteger, nullable=False),
        Column("owner", Text, nullable=False),
        Column("taken_at", instant, nullable=False, server_default=text("clock_timestamp()")),
    )
    debtor = Table(
        "debtor",
        metadata,
        Column("debtor_id", Uuid, primary_key=True),
        Column("shard", Integer, nullable=False),
        Column("tenant_id", Text, nullable=False),
        Column("wake_at", instant),
        Column("state", LargeBinary, nullable=False),
        Column("held", Boolean, nullable=False, server_default=text("false")),
    )
    Index("debtor_held", debtor.c.shard, debtor.c.tenant_id, postgresql_where=text("held"))
    Index(
        "debtor_wakes",
        debtor.c.shard,
        debtor.c.wake_at,
        postgresql_where=text("wake_at IS NOT NULL"),
    )
    Table(
        "debt",
        metadata,
        Column("debt_id", Uuid, primary_key=True),
        Column("debtor_id", Uuid, nullable=False),
        Column("tenant_id", Text, nullable=False),
        Column("portfolio_id", Text, nullable=False),
        Column("episode", Integer, nullable=False),
        Column("stage", Integer, nullable=False),
        Column("status", Text, nullable=False),
    )
    _contact_table(metadata)
    _slot_table(metadata)


def _contact_table(metadata: MetaData) -> None:
    instant = DateTime(timezone=True)
    contact = Table(
        "contact",
        metadata,
        Column("contact_id", Uuid, primary_key=True),
        Column("shard", Integer, nullable=False),
        Column("debtor_id", Uuid, nullable=False),
        Column("tenant_id", Text, nullable=False),
        Column("portfolio_id", Text, nullable=False),
        Column("channel", Text, nullable=False),
        Column("account_id", Text, nullable=False),
        Column("state", SmallInteger, nullable=False),
        Column("priority", Integer, nullable=False),
        Column("wake_at", instant),
        Column("not_after", instant, nullable=False),
        Column("again", Boolean, nullable=False, server_default=text("false")),
        Column("closings", Integer, nullable=False, server_default=text("0")),
        Column("task", LargeBinary),
        Column("traceparent", Text),
        Column("held", Boolean, nullable=False, server_default=text("false")),
    )
    Index(
        "contact_held",
        contact.c.shard,
        contact.c.tenant_id,
        postgresql_where=text("held AND state = 0"),
    )
    Index(
        "contact_planned",
        contact.c.shard,
        contact.c.tenant_id,
        contact.c.account_id,
        contact.c.wake_at,
        postgresql_where=text("state = 0"),
    )
    Index(
        "contact_wakes",
        contact.c.shard,
        contact.c.wake_at,
        postgresql_where=text("state > 0 AND wake_at IS NOT NULL"),
    )
    Index(
        "contact_open",
        contact.c.shard,
        contact.c.tenant_id,
        contact.c.account_id,
        postgresql_where=text("state = ANY (ARRAY[10, 20])"),
    )


def _slot_table(metadata: MetaData) -> None:
    slot = Table(
        "contact_slot",
        metadata,
        Column("debt_id", Uuid, nullable=False),
        Column("episode", Integer, nullable=False),
        Column("step_key", Text, nullable=False),
        Column("channel", Text, nullable=False),
        Column("contact_id", Uuid, nullable=False),
        Column("freed", Boolean, nullable=False, server_default=text("false")),
    )
    Index(
        "contact_slot_once",
        slot.c.debt_id,
        slot.c.episode,
        slot.c.step_key,
        slot.c.channel,
        unique=True,
        postgresql_where=text("NOT freed"),
    )
    Index("contact_slot_of", slot.c.contact_id)
