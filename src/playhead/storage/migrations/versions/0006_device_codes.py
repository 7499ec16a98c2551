"""Devices that wait to be signed in, and guesses at their codes."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.String(36).with_variant(sa.UUID(as_uuid=False), "postgresql")


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "device_code",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("user_code_hash", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.BigInteger()),
        sa.Column("user_id", ID),
        sa.Column("redeemed_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("hash", name="pk_device_code"),
        sa.UniqueConstraint("user_code_hash", name="uq_device_code_user_code_hash"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_device_code_decided_at", "device_code", ["decided_at"])
    op.create_index("ix_device_code_sender", "device_code", ["sender"])
    op.create_table(
        "guess",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "id", name="pk_guess"),
    )
    op.create_index("ix_guess_made_at", "guess", ["made_at"])
