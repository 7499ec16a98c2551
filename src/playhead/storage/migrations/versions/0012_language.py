"""The language in which somebody reads pages."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let an account have a language."""
    op.add_column("account", sa.Column("language", sa.Text()))
