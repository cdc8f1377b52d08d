"""Follow the runtime's matching of receipts by account."""

revision = "0003_follow_matching"
down_revision = ("0002_follow_limits", "0003_match_by_account")
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing of its own: two lines of revisions become one."""


def downgrade() -> None:
    """Nothing of its own."""
