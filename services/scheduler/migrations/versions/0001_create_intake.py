"""Create intake, configuration, holds, work items and the outbox."""

from alembic import op

from shared.postgres import outbox

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = (
    # Random-order keys on purpose: the same event must be found again for ever, so this table can
    # have no partitions by time; it is kept narrow instead (about 80 bytes an event).
    """
    CREATE TABLE intake_event (
        event_id uuid PRIMARY KEY,
        body_hash bytea NOT NULL,
        parked integer NOT NULL DEFAULT 0,
        recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )
    """,
    """
    CREATE TABLE request_answer (
        tenant_id text NOT NULL,
        key_hash bytea NOT NULL,
        body_hash bytea NOT NULL,
        status integer NOT NULL,
        answer bytea NOT NULL,
        answered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (tenant_id, key_hash)
    )
    """,
    # One row per reference and identity key, so that keys can rotate.
    """
    CREATE TABLE debt_reference (
        tenant_id text NOT NULL,
        digest bytea NOT NULL,
        key_id text NOT NULL,
        debt_id uuid NOT NULL,
        debtor_id uuid,
        portfolio_id text,
        currency text,
        PRIMARY KEY (tenant_id, digest)
    )
    """,
    "CREATE INDEX debt_reference_debtor ON debt_reference (debtor_id)",
    "CREATE INDEX debt_reference_debt ON debt_reference (debt_id)",
    """
    CREATE TABLE identity (
        tenant_id text NOT NULL,
        digest bytea NOT NULL,
        key_id text NOT NULL,
        debtor_id uuid NOT NULL,
        PRIMARY KEY (tenant_id, digest)
    )
    """,
    "CREATE INDEX identity_debtor ON identity (debtor_id)",
    """
    CREATE TABLE parked_event (
        event_id uuid PRIMARY KEY,
        tenant_id text NOT NULL,
        why text NOT NULL,
        debt_id uuid,
        debtor_id uuid,
        other_debtor_id uuid,
        type text NOT NULL,
        event bytea NOT NULL,
        traceparent text,
        parked_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )
    """,
    *(
        f"CREATE INDEX parked_event_{column} ON parked_event ({column}) WHERE {column} IS NOT NULL"
        for column in ("debt_id", "debtor_id", "other_debtor_id")
    ),
    """
    CREATE TABLE config_version (
        kind text NOT NULL,
        tenant_id text NOT NULL,
        id text NOT NULL,
        version integer NOT NULL,
        body bytea NOT NULL,
        changed_at timestamptz NOT NULL,
        changed_by text NOT NULL,
        deleted boolean NOT NULL,
        PRIMARY KEY (kind, tenant_id, id, version)
    )
    """,
    """
    CREATE TABLE hold (
        hold_id uuid PRIMARY KEY,
        tenant_id text NOT NULL,
        scope text NOT NULL,
        subject text NOT NULL,
        reason text NOT NULL,
        version integer NOT NULL,
        state text NOT NULL CHECK (state IN ('active', 'lifted')),
        placed_at timestamptz NOT NULL,
        until timestamptz,
        lifted_at timestamptz,
        origin text NOT NULL
    )
    """,
    "CREATE INDEX hold_active ON hold (subject) WHERE state = 'active'",
    "CREATE INDEX hold_tenant ON hold (tenant_id, placed_at, hold_id)",
    """
    CREATE TABLE work_item (
        work_item_id uuid PRIMARY KEY,
        tenant_id text NOT NULL,
        kind text NOT NULL,
        state text NOT NULL CHECK (state IN ('open', 'claimed', 'closed')),
        debtor_id uuid,
        debt_id uuid,
        contact_id uuid,
        event_id uuid,
        reasons bytea NOT NULL,
        opened_at timestamptz NOT NULL,
        deadline timestamptz,
        claimed_by text,
        claimed_at timestamptz,
        decision text,
        note text,
        closed_by text,
        closed_at timestamptz
    )
    """,
    "CREATE INDEX work_item_listed ON work_item (tenant_id, state, work_item_id)",
    "CREATE INDEX work_item_open ON work_item (opened_at) WHERE state <> 'closed'",
    "CREATE INDEX work_item_debt ON work_item (debt_id) WHERE state <> 'closed'",
)


def upgrade() -> None:
    """Create the tables."""
    outbox.create_tables(op)
    outbox.create_lane(op)
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Refuse: what was accepted is never dropped."""
    msg = "the scheduler's first migration cannot be undone: restore a backup instead"
    raise NotImplementedError(msg)
