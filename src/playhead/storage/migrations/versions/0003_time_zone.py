"""The time zone in which somebody sees days and times."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let an account have a time zone."""
    op.add_column("account", sa.Column("time_zone", sa.Text()))
