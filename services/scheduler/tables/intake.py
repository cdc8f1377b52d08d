"""Tables of intake: which events were seen, who is who, what waits for its debt."""

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

NOW = text("clock_timestamp()")


def describe(metadata: MetaData) -> None:
    """Add intake's tables to `metadata`."""
    instant = DateTime(timezone=True)
    Table(
        "intake_event",
        metadata,
        Column("event_id", Uuid, primary_key=True),
        Column("body_hash", LargeBinary, nullable=False),
        Column("parked", Integer, nullable=False, server_default=text("0")),
        Column("recorded_at", instant, nullable=False, server_default=NOW),
    )
    Table(
        "request_answer",
        metadata,
        Column("tenant_id", Text, primary_key=True),
        Column("key_hash", LargeBinary, primary_key=True),
        Column("body_hash", LargeBinary, nullable=False),
        Column("status", Integer, nullable=False),
        Column("answer", LargeBinary, nullable=False),
        Column("answered_at", instant, nullable=False, server_default=NOW),
    )
    _identity_tables(metadata)
    parked = Table(
        "parked_event",
        metadata,
        Column("event_id", Uuid, primary_key=True),
        Column("tenant_id", Text, nullable=False),
        Column("why", Text, nullable=False),
        Column("debt_id", Uuid),
        Column("debtor_id", Uuid),
        Column("other_debtor_id", Uuid),
        Column("type", Text, nullable=False),
        Column("event", LargeBinary, nullable=False),
        Column("traceparent", Text),
        Column("parked_at", instant, nullable=False, server_default=NOW),
    )
    for column in ("debt_id", "debtor_id", "other_debtor_id"):
        Index(
            f"parked_event_{column}",
            parked.c[column],
            postgresql_where=text(f"{column} IS NOT NULL"),
        )


def _identity_tables(metadata: MetaData) -> None:
    debt = Table(
        "debt_reference",
        metadata,
        Column("tenant_id", Text, primary_key=True),
        Column("digest", LargeBinary, primary_key=True),
        Column("key_id", Text, nullable=False),
        Column("debt_id", Uuid, nullable=False),
        Column("debtor_id", Uuid),
        Column("portfolio_id", Text),
        Column("currency", Text),
    )
    Index("debt_reference_debtor", debt.c.debtor_id)
    Index("debt_reference_debt", debt.c.debt_id)
    person = Table(
        "identity",
        metadata,
        Column("tenant_id", Text, primary_key=True),
        Column("digest", LargeBinary, primary_key=True),
        Column("key_id", Text, nullable=False),
        Column("debtor_id", Uuid, nullable=False),
    )
    Index("identity_debtor", person.c.debtor_id)
