"""Create what WhatsApp alone must remember of people."""

from alembic import op

from services.whatsapp_sender import tables

revision = "0001_remember_people"
down_revision = "0001_create_sender"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create acquaintances and aliases."""
    for statement in tables.STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Refuse: who may be written to freely is known from nowhere else."""
    msg = "this migration cannot be undone; restore a backup instead"
    raise NotImplementedError(msg)
