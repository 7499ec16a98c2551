"""Sign-ins that take more than one request, and sessions that an OpenID provider opened."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ID = sa.String(36).with_variant(sa.UUID(as_uuid=False), "postgresql")


def upgrade() -> None:
    """Add their tables."""
    op.create_table(
        "sign_in_step",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_sign_in_step"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_sign_in_step_address", "sign_in_step", ["address"])
    op.create_index("ix_sign_in_step_expires_at", "sign_in_step", ["expires_at"])
    op.create_table(
        "provider_session",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("id_token", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "token_hash", name="pk_provider_session"),
        sa.ForeignKeyConstraint(["user_id"], ["account.id"], name="fk_provider_session_user_id", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
