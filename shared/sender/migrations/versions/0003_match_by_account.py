"""Let receipts that fit nothing be looked for account by account."""

from alembic import op

from shared.sender import tables

revision = "0003_match_by_account"
down_revision = "0002_limit_accounts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Put two indexes in the place of one."""
    for statement in tables.RECEIPTS_BY_ACCOUNT:
        op.execute(statement)


def downgrade() -> None:
    """Put the one back."""
    op.execute("DROP INDEX receipt_left, receipt_unmatched")
    op.execute("""
        CREATE INDEX receipt_waiting ON receipt (received_at) WHERE state IN ('new', 'unmatched')
    """)
