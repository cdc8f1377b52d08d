"""Create the entries (append-only, by month), the data keys, the projections, where to resume."""

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

# No index on what changes with every fact, so that updates stay within their page (HOT); BRIN does
# not hinder that, and rows lie in the order in which contacts were planned.
CONTACT = (
    """
    CREATE TABLE contact (
        tenant_id text NOT NULL,
        contact_id uuid NOT NULL,
        debtor_id uuid,
        portfolio_id text,
        channel text,
        origin text NOT NULL,
        step_key text,
        stage integer,
        manual boolean NOT NULL,
        debt_ids uuid[] NOT NULL,
        attempt_ids uuid[] NOT NULL,
        accepted_ids uuid[] NOT NULL,
        state smallint,
        state_at timestamptz,
        state_rules text[],
        state_code text,
        non_send boolean NOT NULL,
        local_day date,
        planned_at timestamptz,
        dispatched_at timestamptz,
        accepted_at timestamptz,
        sent_at timestamptz,
        delivered_at timestamptz,
        read_at timestamptz,
        replied_at timestamptz,
        right_party_at timestamptz,
        opted_out_at timestamptz,
        complained_at timestamptz,
        due_at timestamptz,
        not_after timestamptz,
        resolve_by timestamptz,
        account_id text,
        template text,
        segments integer,
        day date GENERATED ALWAYS AS
            (COALESCE(local_day, (planned_at AT TIME ZONE 'UTC')::date)) STORED,
        PRIMARY KEY (tenant_id, contact_id)
    ) WITH (fillfactor = 75)
    """,
    "CREATE INDEX contact_day ON contact (tenant_id, day, contact_id)",
    """
    CREATE INDEX contact_unplanned ON contact (tenant_id)
    WHERE planned_at IS NULL AND origin = 'platform'
    """,
    """
    CREATE INDEX contact_moments ON contact
    USING brin (accepted_at, delivered_at, right_party_at)
    WITH (pages_per_range = 32, autosummarize = on)
    """,
)

PROJECTIONS = (
    """
    CREATE TABLE account (
        tenant_id text NOT NULL,
        debt_id uuid NOT NULL,
        debtor_id uuid NOT NULL,
        portfolio_id text,
        currency text,
        stage integer,
        entered_at timestamptz,
        reentered_at timestamptz,
        left_at timestamptz,
        promises_withdrawn_at timestamptz,
        PRIMARY KEY (tenant_id, debt_id)
    )
    """,
    "CREATE INDEX account_debtor ON account (tenant_id, debtor_id)",
    """
    CREATE TABLE promise (
        tenant_id text NOT NULL,
        promise_id uuid NOT NULL,
        debt_id uuid,
        debtor_id uuid,
        amount bigint,
        currency text,
        due_date date,
        channel text,
        made_at timestamptz,
        withdrawn_at timestamptz,
        verdict text,
        verdict_at timestamptz,
        PRIMARY KEY (tenant_id, promise_id)
    )
    """,
    "CREATE INDEX promise_debt ON promise (tenant_id, debt_id)",
    """
    CREATE TABLE payment (
        tenant_id text NOT NULL,
        payment_id uuid NOT NULL,
        debt_id uuid,
        debtor_id uuid,
        amount bigint,
        currency text,
        paid_at timestamptz,
        reversed_at timestamptz,
        PRIMARY KEY (tenant_id, payment_id)
    )
    """,
    "CREATE INDEX payment_debt ON payment (tenant_id, debt_id)",
    """
    CREATE TABLE reply (
        tenant_id text NOT NULL,
        reply_id uuid NOT NULL,
        contact_id uuid NOT NULL,
        debtor_id uuid NOT NULL,
        channel text NOT NULL,
        at timestamptz NOT NULL,
        intent text NOT NULL,
        confident boolean NOT NULL,
        right_party boolean NOT NULL,
        opted_out boolean NOT NULL,
        PRIMARY KEY (tenant_id, reply_id)
    )
    """,
    """
    CREATE TABLE debtor_merge (
        tenant_id text NOT NULL,
        merged_debtor_id uuid NOT NULL,
        debtor_id uuid NOT NULL,
        PRIMARY KEY (tenant_id, merged_debtor_id)
    )
    """,
    "CREATE INDEX debtor_merge_into ON debtor_merge (tenant_id, debtor_id)",
    """
    CREATE TABLE hold (
        hold_id uuid PRIMARY KEY,
        tenant_id text NOT NULL,
        scope text NOT NULL,
        subject text NOT NULL,
        reason text NOT NULL,
        version integer NOT NULL,
        state text NOT NULL,
        until timestamptz
    )
    """,
    # A re-published hold carries a new event time: its version alone says that it is known.
    """
    CREATE TABLE hold_version (
        hold_id uuid NOT NULL,
        version integer NOT NULL,
        PRIMARY KEY (hold_id, version)
    )
    """,
    """
    CREATE TABLE lookup (
        tenant_id text NOT NULL,
        digest bytea NOT NULL,
        debtor_id uuid NOT NULL,
        kind text NOT NULL,
        key_id text NOT NULL,
        debt_id uuid,
        PRIMARY KEY (tenant_id, digest, debtor_id)
    )
    """,
    """
    CREATE TABLE alarm (
        tenant_id text NOT NULL,
        contact_id uuid NOT NULL,
        kind text NOT NULL,
        raised_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (tenant_id, contact_id, kind)
    )
    """,
)

TABLES = (
    "alarm",
    "lookup",
    "hold_version",
    "hold",
    "debtor_merge",
    "reply",
    "payment",
    "promise",
    "account",
    "contact",
    "debtor_key",
    "consumed",
    "generation",
    "entry",
)


def upgrade() -> None:
    """Create everything."""
    for statement in (ENTRY, *ENTRY_INDEXES, *APPEND_ONLY, *RECORDING, *CONTACT, *PROJECTIONS):
        op.execute(statement)


def downgrade() -> None:
    """Drop everything, history included."""
    for table in TABLES:
        op.execute(f"DROP TABLE IF EXISTS {table} CASCADE")
    op.execute("DROP FUNCTION IF EXISTS make_entry_month(date)")
    op.execute("DROP FUNCTION IF EXISTS refuse_change()")
