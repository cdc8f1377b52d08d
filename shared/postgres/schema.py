"""The tables of outbox, relay and holds lane: as DDL for migrations and as SQLAlchemy metadata.

In: Alembic's `op` in a service's first migration, or a `MetaData` to describe the same tables in.
Out: tables in the service's own schema. Both halves are compared by a test; change them together.
"""

from typing import Protocol

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Identity,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.types import UserDefinedType


class Operations(Protocol):
    """Alembic's `op`, as far as these helpers use it."""

    def execute(self, sqltext: str) -> None:
        """Run one statement."""


# `day` is machine time: only for dropping. xid is compared with the snapshot, so it is the row's
# own transaction. The generation's default is rewritten when the cluster changes (see outbox).
OUTBOX_DDL = """
CREATE TABLE outbox (
    generation integer NOT NULL DEFAULT 1,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id bigint GENERATED ALWAYS AS IDENTITY,
    day date NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')::date,
    topic text NOT NULL,
    key text NOT NULL,
    event_id uuid NOT NULL,
    headers bytea NOT NULL,
    value bytea,
    CONSTRAINT outbox_pkey PRIMARY KEY (generation, xid, id, day)
) PARTITION BY RANGE (day)
"""

RELAY_DDL = """
CREATE TABLE relay (
    name text NOT NULL CONSTRAINT relay_pkey PRIMARY KEY,
    generation integer NOT NULL DEFAULT 0,
    xid xid8 NOT NULL DEFAULT '0',
    id bigint NOT NULL DEFAULT 0,
    day date NOT NULL DEFAULT '2000-01-01',
    published bigint NOT NULL DEFAULT 0,
    cluster_id text,
    again_generation integer,
    again_xid xid8,
    again_id bigint,
    again_day date,
    until_generation integer,
    until_xid xid8,
    until_id bigint,
    until_day date,
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50)
"""

RELAY_ACK_DDL = """
CREATE TABLE relay_ack (
    name text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    event_id uuid NOT NULL,
    CONSTRAINT relay_ack_pkey PRIMARY KEY (name, topic, partition)
) WITH (fillfactor = 50)
"""

GENERATION_DDL = """
CREATE TABLE outbox_generation (
    one_row boolean NOT NULL DEFAULT true
        CONSTRAINT outbox_generation_pkey PRIMARY KEY
        CONSTRAINT outbox_generation_one_row CHECK (one_row),
    generation integer NOT NULL,
    system_identifier bigint NOT NULL
)
"""

COUNTS_DDL = """
CREATE TABLE topic_partitions (
    topic text NOT NULL CONSTRAINT topic_partitions_pkey PRIMARY KEY,
    partitions integer NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
)
"""

OFFSETS_DDL = """
CREATE TABLE consumer_offset (
    consumer text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    cluster_id text NOT NULL,
    CONSTRAINT consumer_offset_pkey PRIMARY KEY (consumer, topic, partition)
) WITH (fillfactor = 50)
"""

LANE_DDL = """
CREATE TABLE {table} (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT {table}_pkey PRIMARY KEY,
    key text NOT NULL,
    event_id uuid NOT NULL,
    headers bytea NOT NULL,
    value bytea
) WITH (autovacuum_vacuum_scale_factor = 0.02)
"""

TABLES = (
    "outbox",
    "relay",
    "relay_ack",
    "outbox_generation",
    "topic_partitions",
    "consumer_offset",
)


def create_tables(op: Operations) -> None:
    """Create outbox, relay position, consumer offsets and partition counts (first migration)."""
    for ddl in (
        OUTBOX_DDL,
        RELAY_DDL,
        RELAY_ACK_DDL,
        GENERATION_DDL,
        COUNTS_DDL,
        OFFSETS_DDL,
    ):
        op.execute(ddl)


def drop_tables(op: Operations) -> None:
    """Undo `create_tables`."""
    for name in reversed(TABLES):
        op.execute(f"DROP TABLE IF EXISTS {name}")


def create_lane(op: Operations, table: str = "hold_outbox") -> None:
    """Create the small outbox of a lane (holds): published at once, deleted when acknowledged."""
    op.execute(LANE_DDL.format(table=table))


def drop_lane(op: Operations, table: str = "hold_outbox") -> None:
    """Undo `create_lane`."""
    op.execute(f"DROP TABLE IF EXISTS {table}")


class Xid8(UserDefinedType[int]):
    """PostgreSQL's 64-bit transaction id; asyncpg gives it as an int."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Return the type's name in SQL."""
        return "XID8"


def define_tables(metadata: MetaData) -> None:
    """Describe the tables of `create_tables` in a service's metadata, for comparisons."""
    instant = DateTime(timezone=True)
    Table(
        "outbox",
        metadata,
        Column("generation", Integer, nullable=False, server_default="1"),
        Column("xid", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
        Column("id", BigInteger, Identity(always=True), nullable=False),
        Column(
            "day", Date, nullable=False, server_default=text("(now() AT TIME ZONE 'UTC')::date")
        ),
        Column("topic", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("event_id", Uuid, nullable=False),
        Column("headers", LargeBinary, nullable=False),
        Column("value", LargeBinary),
        PrimaryKeyConstraint("generation", "xid", "id", "day", name="outbox_pkey"),
        postgresql_partition_by="RANGE (day)",
    )
    Table(
        "relay",
        metadata,
        Column("name", Text, primary_key=True),
        Column("generation", Integer, nullable=False, server_default="0"),
        Column("xid", Xid8, nullable=False, server_default="0"),
        Column("id", BigInteger, nullable=False, server_default="0"),
        Column("day", Date, nullable=False, server_default="2000-01-01"),
        Column("published", BigInteger, nullable=False, server_default="0"),
        Column("cluster_id", Text),
        *(
            Column(f"{prefix}_{name}", kind)
            for prefix in ("again", "until")
            for name, kind in (
                ("generation", Integer),
                ("xid", Xid8),
                ("id", BigInteger),
                ("day", Date),
            )
        ),
        Column("updated_at", instant, nullable=False, server_default=text("now()")),
    )
    _define_small_tables(metadata, instant)


def _define_small_tables(metadata: MetaData, instant: DateTime) -> None:
    Table(
        "relay_ack",
        metadata,
        Column("name", Text, primary_key=True),
        Column("topic", Text, primary_key=True),
        Column("partition", Integer, primary_key=True, autoincrement=False),
        Column("offset", BigInteger, nullable=False),
        Column("event_id", Uuid, nullable=False),
    )
    Table(
        "outbox_generation",
        metadata,
        Column("one_row", Boolean, primary_key=True, server_default=text("true")),
        Column("generation", Integer, nullable=False),
        Column("system_identifier", BigInteger, nullable=False),
    )
    Table(
        "topic_partitions",
        metadata,
        Column("topic", Text, primary_key=True),
        Column("partitions", Integer, nullable=False),
        Column("stored_at", instant, nullable=False, server_default=text("now()")),
    )
    Table(
        "consumer_offset",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("topic", Text, primary_key=True),
        Column("partition", Integer, primary_key=True, autoincrement=False),
        Column("next_offset", BigInteger, nullable=False),
        Column("cluster_id", Text, nullable=False),
    )


def define_lane(metadata: MetaData, table: str = "hold_outbox") -> None:
    """Describe the table of `create_lane` in a service's metadata."""
    Table(
        table,
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("key", Text, nullable=False),
        Column("event_id", Uuid, nullable=False),
        Column("headers", LargeBinary, nullable=False),
        Column("value", LargeBinary),
    )
