"""Create shards, debtor states, debts, contacts and their slots."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE shard (
        partition integer PRIMARY KEY,
        epoch bigint NOT NULL,
        cluster_id text NOT NULL,
        debt_offset bigint NOT NULL,
        contact_offset bigint NOT NULL,
        owner text NOT NULL,
        taken_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )
    """,
    # The state is rewritten with every fold: free space on each page keeps the new version there.
    """
    CREATE TABLE debtor (
        debtor_id uuid PRIMARY KEY,
        shard integer NOT NULL,
        tenant_id text NOT NULL,
        wake_at timestamptz,
        state bytea NOT NULL
    ) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02)
    """,
    "CREATE INDEX debtor_wakes ON debtor (shard, wake_at) WHERE wake_at IS NOT NULL",
    """
    CREATE TABLE debt (
        debt_id uuid PRIMARY KEY,
        debtor_id uuid NOT NULL,
        tenant_id text NOT NULL,
        portfolio_id text NOT NULL,
        episode integer NOT NULL,
        stage integer NOT NULL,
        status text NOT NULL
    ) WITH (fillfactor = 80)
    """,
    # Promise P4, a second time: whatever the policy decides, the database refuses a step back.
    """
    CREATE FUNCTION refuse_lower_stage() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.stage < OLD.stage OR NEW.episode < OLD.episode THEN
            RAISE EXCEPTION 'debt % may not go back from stage % to %',
                OLD.debt_id, OLD.stage, NEW.stage USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER debt_stage_is_monotone BEFORE UPDATE ON debt
    FOR EACH ROW EXECUTE FUNCTION refuse_lower_stage()
    """,
    """
    CREATE TABLE contact (
        contact_id uuid PRIMARY KEY,
        shard integer NOT NULL,
        debtor_id uuid NOT NULL,
        tenant_id text NOT NULL,
        portfolio_id text NOT NULL,
        channel text NOT NULL,
        account_id text NOT NULL,
        state smallint NOT NULL,
        priority integer NOT NULL,
        wake_at timestamptz,
        not_after timestamptz NOT NULL,
        again boolean NOT NULL DEFAULT false,
        closings integer NOT NULL DEFAULT 0,
        task bytea,
        traceparent text
    ) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02)
    """,
    """
    CREATE INDEX contact_planned ON contact (shard, tenant_id, account_id, wake_at)
    WHERE state = 0
    """,
    """
    CREATE INDEX contact_wakes ON contact (shard, wake_at)
    WHERE state > 0 AND wake_at IS NOT NULL
    """,
    """
    CREATE INDEX contact_open ON contact (shard, tenant_id, account_id)
    WHERE state = ANY (ARRAY[10, 20])
    """,
    """
    CREATE TABLE contact_slot (
        debt_id uuid NOT NULL,
        episode integer NOT NULL,
        step_key text NOT NULL,
        channel text NOT NULL,
        contact_id uuid NOT NULL,
        freed boolean NOT NULL DEFAULT false
    ) WITH (fillfactor = 80)
    """,
    """
    CREATE UNIQUE INDEX contact_slot_once ON contact_slot (debt_id, episode, step_key, channel)
    WHERE NOT freed
    """,
    "CREATE INDEX contact_slot_of ON contact_slot (contact_id)",
)


def upgrade() -> None:
    """Create the tables of planner and dispatcher."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Drop them again."""
    for table in ("contact_slot", "contact", "debt", "debtor", "shard"):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION refuse_lower_stage()")
