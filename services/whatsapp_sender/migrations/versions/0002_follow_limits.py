"""Follow the runtime's limits of accounts beside the memory of people."""

revision = "0002_follow_limits"
down_revision = ("0001_remember_people", "0002_limit_accounts")
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing of its own: two lines of revisions become one."""


def downgrade() -> None:
    """Nothing of its own."""
