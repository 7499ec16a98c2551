"""Devices that a household shares, the people on them, and PINs."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ID = sa.String(36).with_variant(sa.UUID(as_uuid=False), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "household_device",
        sa.Column("id", ID, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("remembered_by", ID, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_household_device"),
        sa.UniqueConstraint("hash", name="uq_household_device_hash"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_household_device_remembered_by", "household_device", ["remembered_by"])
    op.create_table(
        "household_person",
        sa.Column("device_id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("allows_tap", sa.Boolean(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("pin_failures", sa.Integer(), nullable=False),
        sa.Column("pin_failed_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("device_id", "user_id", name="pk_household_person"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_household_person_user_id", "household_person", ["user_id"])
    op.create_table(
        "household_session",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("device_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "token_hash", name="pk_household_session"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_household_session_device_id", "household_session", ["device_id"])
    op.create_table(
        "pin",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("set_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_pin"),
        sqlite_with_rowid=False,
    )
