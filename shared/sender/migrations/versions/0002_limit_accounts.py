"""Create what the limits of accounts per person and per day are counted in."""

from alembic import op

from shared.sender import tables

revision = "0002_limit_accounts"
down_revision = "0001_create_sender"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create rests, uses, and the function that counts."""
    for statement in tables.LIMITS:
        op.execute(statement)


def downgrade() -> None:
    """Drop them: older code keeps no such limits."""
    op.execute("DROP FUNCTION take_day_use")
    op.execute("DROP TABLE day_use")
    op.execute("DROP TABLE pair_rest")
