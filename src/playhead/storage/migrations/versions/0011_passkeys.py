"""Passkeys, recovery codes, and whose sign-in needs two factors."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ID = sa.String(36).with_variant(sa.UUID(as_uuid=False), "postgresql")


def upgrade() -> None:
    """Add their tables."""
    op.create_table(
        "passkey",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("user_id", "credential_id", name="pk_passkey"),
        sa.ForeignKeyConstraint(["user_id"], ["account.id"], name="fk_passkey_user_id", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "recovery_code",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "hash", name="pk_recovery_code"),
        sa.ForeignKeyConstraint(["user_id"], ["account.id"], name="fk_recovery_code_user_id", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "second_factor",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_second_factor"),
        sa.ForeignKeyConstraint(["user_id"], ["account.id"], name="fk_second_factor_user_id", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
