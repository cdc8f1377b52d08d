"""The ledger's tables as SQLAlchemy metadata: what migrations create and tests compare with.

In: nothing. Out: `METADATA`. No statement is built from these; SQL lives in `store`. `entry` is
partitioned by month of `event_time`; its partitions are made by `make_entry_month` and are not
listed here.
"""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Computed,
    Date,
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

from shared.postgres.schema import Xid8

METADATA = MetaData()
INSTANT = DateTime(timezone=True)
NO_IDS = text("'{}'")


entry = Table(
    "entry",
    METADATA,
    Column("event_time", INSTANT, primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("debtor_id", Uuid),
    Column("debt_id", Uuid),
    Column("contact_id", Uuid),
    Column("attempt_id", Uuid),
    Column("portfolio_id", Text),
    Column("channel", Text),
    Column("type", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("state", SmallInteger),
    Column("rules", ARRAY(Text), nullable=False, server_default=NO_IDS),
    Column("at", INSTANT, nullable=False),
    Column("machine_at", INSTANT, nullable=False),
    Column("body_sealed", LargeBinary),
    Column("generation", Integer, nullable=False),
    Column("xid", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
    Column("ordinal", Integer, nullable=False),
    Column("recorded_at", INSTANT, nullable=False, server_default=text("clock_timestamp()")),
    postgresql_partition_by="RANGE (event_time)",
)
Index(
    "entry_history",
    *(entry.c[name] for name in ("debtor_id", "event_time", "machine_at", "event_id")),
    postgresql_where=text("debtor_id IS NOT NULL"),
)
Index(
    "entry_of_debt",
    *(entry.c[name] for name in ("debt_id", "event_time", "machine_at", "event_id")),
    postgresql_where=text("debtor_id IS NULL AND debt_id IS NOT NULL"),
)
Index("entry_feed", *(entry.c[name] for name in ("tenant_id", "generation", "xid", "ordinal")))
Index(
    "entry_refusals",
    entry.c.tenant_id,
    entry.c.event_time,
    postgresql_where=text("type IN ('contact.withheld.v1', 'contact.deferred.v1')"),
)

Table(
    "generation",
    METADATA,
    Column("one_row", Boolean, primary_key=True, server_default=text("true")),
    Column("number", Integer, nullable=False),
    Column("system_identifier", BigInteger, nullable=False),
)
Table(
    "consumed",
    METADATA,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("cluster_id", Text, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("last_event_id", Uuid),
    Column("epoch", BigInteger, nullable=False),
    Column("changed_at", INSTANT, nullable=False, server_default=text("clock_timestamp()")),
)
Table(
    "debtor_key",
    METADATA,
    Column("tenant_id", Text, primary_key=True),
    Column("debtor_id", Uuid, primary_key=True),
    Column("kek_id", Text, nullable=False),
    Column("wrapped", LargeBinary),
    Column("made_at", INSTANT, nullable=False, server_default=text("clock_timestamp()")),
)

contact = Table(
    "contact",
    METADATA,
    Column("tenant_id", Text, primary_key=True),
    Column("contact_id", Uuid, primary_key=True),
    Column("debtor_id", Uuid),
    Column("portfolio_id", Text),
    Column("channel", Text),
    Column("origin", Text, nullable=False),
    Column("step_key", Text),
    Column("stage", Integer),
    Column("manual", Boolean, nullable=False),
    Column("debt_ids", ARRAY(Uuid), nullable=False),
    Column("items", Text),
    Column("attempt_ids", ARRAY(Uuid), nullable=False),
    Column("accepted_ids", ARRAY(Uuid), nullable=False),
    Column("state", SmallInteger),
    Column("state_at", INSTANT),
    Column("state_rules", ARRAY(Text)),
    Column("state_code", Text),
    Column("non_send", Boolean, nullable=False),
    Column("local_day", Date),
    Column("planned_at", INSTANT),
    Column("dispatched_at", INSTANT),
    Column("accepted_at", INSTANT),
    Column("sent_at", INSTANT),
    Column("delivered_at", INSTANT),
    Column("read_at", INSTANT),
    Column("replied_at", INSTANT),
    Column("right_party_at", INSTANT),
    Column("opted_out_at", INSTANT),
    Column("complained_at", INSTANT),
    Column("due_at", INSTANT),
    Column("not_after", INSTANT),
    Column("resolve_by", INSTANT),
    Column("account_id", Text),
    Column("template", Text),
    Column("segments", Integer),
    Column(
        "day",
        Date,
        Computed("COALESCE(local_day, (planned_at AT TIME ZONE 'UTC')::date)", persisted=True),
    ),
)
Index("contact_day", contact.c.tenant_id, contact.c.day, contact.c.contact_id)
Index(
    "contact_unplanned",
    contact.c.tenant_id,
    postgresql_where=text("planned_at IS NULL AND origin = 'platform'"),
)
Index(
    "contact_moments",
    contact.c.accepted_at,
    contact.c.delivered_at,
    contact.c.right_party_at,
    postgresql_using="brin",
)

account = Table(
    "account",
    METADATA,
    Column("tenant_id", Text, primary_key=True),
    Column("debt_id", Uuid, primary_key=True),
    Column("debtor_id", Uuid, nullable=False),
    Column("portfolio_id", Text),
    Column("currency", Text),
    Column("stage", Integer),
    Column("entered_at", INSTANT),
    Column("reentered_at", INSTANT),
    Column("left_at", INSTANT),
    Column("promises_withdrawn_at", INSTANT),
)
Index("account_debtor", account.c.tenant_id, account.c.debtor_id)

promise = Table(
    "promise",
    METADATA,
    Column("tenant_id", Text, primary_key=True),
    Column("promise_id", Uuid, primary_key=True),
    Column("debt_ids", ARRAY(Uuid), nullable=False),
    Column("debtor_id", Uuid),
    Column("amount", BigInteger),
    Column("currency", Text),
    Column("due_date", Date),
    Column("channel", Text),
    Column("made_at", INSTANT),
    Column("withdrawn_at", INSTANT),
    Column("kept_debt_ids", ARRAY(Uuid), nullable=False),
    Column("broken_debt_ids", ARRAY(Uuid), nullable=False),
)
Index("promise_made", promise.c.tenant_id, promise.c.made_at)
Index("promise_due", promise.c.tenant_id, promise.c.due_date)

payment = Table(
    "payment",
    METADATA,
    Column("tenant_id", Text, primary_key=True),
    Column("payment_id", Uuid, primary_key=True),
    Column("debt_id", Uuid),
    Column("debtor_id", Uuid),
    Column("amount", BigInteger),
    Column("currency", Text),
    Column("paid_at", INSTANT),
    Column("reversed_at", INSTANT),
)
Index("payment_debt", payment.c.tenant_id, payment.c.debt_id)

Table(
    "reply",
    METADATA,
    Column("tenant_id", Text, primary_key=True),
    Column("reply_id", Uuid, primary_key=True),
    Column("contact_id", Uuid, nullable=False),
    Column("debtor_id", Uuid, nullable=False),
    Column("channel", Text, nullable=False),
    Column("at", INSTANT, nullable=False),
    Column("intent", Text, nullable=False),
    Column("confident", Boolean, nullable=False),
    Column("right_party", Boolean, nullable=False),
    Column("opted_out", Boolean, nullable=False),
)
merge = Table(
    "debtor_merge",
    METADATA,
    Column("tenant_id", Text, primary_key=True),
    Column("merged_debtor_id", Uuid, primary_key=True),
    Column("debtor_id", Uuid, nullable=False),
)
Index("debtor_merge_into", merge.c.tenant_id, merge.c.debtor_id)
Table(
    "hold",
    METADATA,
    Column("hold_id", Uuid, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("until", INSTANT),
)
Table(
    "hold_version",
    METADATA,
    Column("hold_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
)
Table(
    "lookup",
    METADATA,
    Column("tenant_id", Text, primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("debtor_id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("debt_id", Uuid),
)
Table(
    "alarm",
    METADATA,
    Column("tenant_id", Text, primary_key=True),
    Column("contact_id", Uuid, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("raised_at", INSTANT, nullable=False, server_default=text("clock_timestamp()")),
)
