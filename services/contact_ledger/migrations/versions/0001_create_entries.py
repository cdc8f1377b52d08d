"""Create the entries (append-only, by month), the data keys, and where to resume."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ENTRY = """
    CREATE TABLE entry (
        event_time timestamptz NOT NULL,
        event_id uuid NOT NULL,
        tenant_id text NOT NULL,
        debtor_id uuid,
        debt_id uuid,
        contact_id uuid,
        attempt_id uuid,
        portfolio_id text,
        channel text,
        type text NOT NULL,
        source text NOT NULL,
        state smallint,
        rules text[] NOT NULL DEFAULT '{}',
        at timestamptz NOT NULL,
        machine_at timestamptz NOT NULL,
        body_sealed bytea,
        generation integer NOT NULL,
        xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
        ordinal integer NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (event_time, event_id)
    ) PARTITION BY RANGE (event_time)
"""
ENTRY_INDEXES = (
    """
    CREATE INDEX entry_history ON entry (debtor_id, event_time, machine_at, event_id)
    WHERE debtor_id IS NOT NULL
    """,
    # Holds on a debt say nothing about its debtor: their history is found by the debt.
    """
    CREATE INDEX entry_of_debt ON entry (debt_id, event_time, machine_at, event_id)
    WHERE debtor_id IS NULL AND debt_id IS NOT NULL
    """,
    # The feed: commits in order of transaction, whatever they are about.
    "CREATE INDEX entry_feed ON entry (tenant_id, generation, xid, ordinal)",
    """
    CREATE INDEX entry_refusals ON entry (tenant_id, event_time)
    WHERE type IN ('contact.withheld.v1', 'contact.deferred.v1')
    """,
)
# The owner could lift this; that is what the sealed chain over the stored bytes is for.
APPEND_ONLY = (
    """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'entries of the ledger are never changed or deleted'
            USING ERRCODE = 'RG003';
    END
    $$
    """,
    """
    CREATE TRIGGER entry_append_only BEFORE UPDATE OR DELETE ON entry
    FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER entry_no_truncate BEFORE TRUNCATE ON entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    # Made apart and attached: creating a partition in place would lock out every reader.
    """
    CREATE FUNCTION make_entry_month(month date) RETURNS boolean LANGUAGE plpgsql AS $$
    DECLARE
        starts date := date_trunc('month', month)::date;
        ends date := (date_trunc('month', month) + interval '1 month')::date;
        name text := 'entry_' || to_char(starts, 'YYYY_MM');
    BEGIN
        PERFORM pg_advisory_xact_lock(hashtext('contact_ledger entry months'));
        IF to_regclass(name) IS NOT NULL THEN
            RETURN false;
        END IF;
        EXECUTE format('CREATE TABLE %I (LIKE entry INCLUDING DEFAULTS)', name);
        EXECUTE format('CREATE TRIGGER entry_no_truncate BEFORE TRUNCATE ON %I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', name);
        EXECUTE format('ALTER TABLE entry ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name,
                       starts::timestamp AT TIME ZONE 'UTC', ends::timestamp AT TIME ZONE 'UTC');
        RETURN true;
    END
    $$
    """,
)

RECORDING = (
    """
    CREATE TABLE generation (
        one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
        number integer NOT NULL,
        system_identifier bigint NOT NULL
    )
    """,
    """
    CREATE TABLE consumed (
        topic text NOT NULL,
        partition integer NOT NULL,
        cluster_id text NOT NULL,
        next_offset bigint NOT NULL,
        last_event_id uuid,
        epoch bigint NOT NULL,
        changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (topic, partition)
    ) WITH (fillfactor = 50)
    """,
    # `wrapped` NULL: the key was destroyed, and no new one may take its place.
    """
    CREATE TABLE debtor_key (
        tenant_id text NOT NULL,
        debtor_id uuid NOT NULL,
        kek_id text NOT NULL,
        wrapped bytea,
        made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (tenant_id, debtor_id)
    )
    """,
)

TABLES = ("debtor_key", "consumed", "generation", "entry")


def upgrade() -> None:
    """Create them."""
    for statement in (ENTRY, *ENTRY_INDEXES, *APPEND_ONLY, *RECORDING):
        op.execute(statement)


def downgrade() -> None:
    """Drop them, history included."""
    for table in TABLES:
        op.execute(f"DROP TABLE IF EXISTS {table} CASCADE")
    op.execute("DROP FUNCTION IF EXISTS make_entry_month(date)")
    op.execute("DROP FUNCTION IF EXISTS refuse_change()")
