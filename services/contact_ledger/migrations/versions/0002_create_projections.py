"""Create what is made of the entries: contacts, accounts, promises, payments, replies, look-ups."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# No index on what changes with every fact, so that updates stay within their page (HOT); BRIN does
# not hinder that, and rows lie in the order in which contacts were planned. A batch often moves
# every contact of a page at once, and its old rows go only after its commit: half a page is free.
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
        items text,
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
    ) WITH (fillfactor = 50)
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
        debt_ids uuid[] NOT NULL,
        debtor_id uuid,
        amount bigint,
        currency text,
        due_date date,
        channel text,
        made_at timestamptz,
        withdrawn_at timestamptz,
        kept_debt_ids uuid[] NOT NULL,
        broken_debt_ids uuid[] NOT NULL,
        PRIMARY KEY (tenant_id, promise_id)
    )
    """,
    "CREATE INDEX promise_made ON promise (tenant_id, made_at)",
    "CREATE INDEX promise_due ON promise (tenant_id, due_date)",
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
)


def upgrade() -> None:
    """Create them."""
    for statement in (*CONTACT, *PROJECTIONS):
        op.execute(statement)


def downgrade() -> None:
    """Drop them; they can be made again from the entries."""
    for table in TABLES:
        op.execute(f"DROP TABLE IF EXISTS {table}")
