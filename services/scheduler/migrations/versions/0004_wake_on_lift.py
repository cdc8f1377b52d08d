"""Let a lift wake whom its hold kept back: who that is, and which shards still have to do it."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add marks and lifts; who waits now is woken by the hourly look."""
    op.execute("ALTER TABLE debtor ADD COLUMN held boolean NOT NULL DEFAULT false")
    op.execute("ALTER TABLE contact ADD COLUMN held boolean NOT NULL DEFAULT false")
    op.execute("CREATE INDEX debtor_held ON debtor (shard, tenant_id) WHERE held")
    op.execute("CREATE INDEX contact_held ON contact (shard, tenant_id) WHERE held AND state = 0")
    op.execute("""
        CREATE TABLE lift (
            shard integer NOT NULL,
            hold_id uuid NOT NULL,
            tenant_id text NOT NULL,
            PRIMARY KEY (shard, hold_id)
        )
    """)


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TABLE lift")
    op.execute("ALTER TABLE contact DROP COLUMN held")
    op.execute("ALTER TABLE debtor DROP COLUMN held")
