"""Name the ladder step that a work item is about: the planner acts on the decision."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; older items are about no step that anybody can name."""
    op.execute("ALTER TABLE work_item ADD COLUMN episode integer, ADD COLUMN step_key text")


def downgrade() -> None:
    """Drop the columns."""
    op.execute("ALTER TABLE work_item DROP COLUMN episode, DROP COLUMN step_key")
