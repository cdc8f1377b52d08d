"""Create a sender's tables, its outbox and its holds lane."""

from alembic import op

from shared.postgres import outbox
from shared.sender import tables

revision = "0001_create_sender"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create everything a sender writes."""
    op.execute(tables.ATTEMPT)
    op.execute(tables.RECEIPT)
    for statement in tables.SMALL_TABLES:
        op.execute(statement)
    op.execute(tables.TAKE_PERMITS)
    outbox.create_tables(op)
    outbox.create_lane(op)


def downgrade() -> None:
    """Refuse: attempts are the proof that nobody is contacted twice."""
    msg = "the sender's first migration cannot be undone; restore a backup instead"
    raise NotImplementedError(msg)
