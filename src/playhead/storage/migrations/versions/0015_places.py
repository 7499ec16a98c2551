"""The places of specials among the regular episodes."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let a special come before an episode, or behind a season; the next scan reads the places from NFO files."""
    op.add_column("item", sa.Column("placed_season", sa.Integer()))
    op.add_column("item", sa.Column("placed_before", sa.Integer()))
