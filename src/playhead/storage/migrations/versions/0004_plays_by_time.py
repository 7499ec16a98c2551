"""An index of plays by item and time, so that a completing report need not read all plays of its item."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_play_user_id_item_id_watched_at", "play", ["user_id", "item_id", "watched_at"])
