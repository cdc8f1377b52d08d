"""Table of configuration: every version of every entry, with who and when; nothing is updated."""

from sqlalchemy import Boolean, Column, DateTime, Integer, LargeBinary, MetaData, Table, Text


def describe(metadata: MetaData) -> None:
    """Add the configuration table to `metadata`."""
    Table(
        "config_version",
        metadata,
        Column("kind", Text, primary_key=True),
        Column("tenant_id", Text, primary_key=True),
        Column("id", Text, primary_key=True),
        Column("version", Integer, primary_key=True, autoincrement=False),
        Column("body", LargeBinary, nullable=False),
        Column("changed_at", DateTime(timezone=True), nullable=False),
        Column("changed_by", Text, nullable=False),
        Column("deleted", Boolean, nullable=False),
    )
