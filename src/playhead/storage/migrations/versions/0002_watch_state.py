"""Watch state: sessions, marks, kept points, what users decided about their lists; the epoch of credentials."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.String(36).with_variant(sa.UUID(as_uuid=False), "postgresql")

# As 0001 made it: SQLite builds a table anew to change what its columns may hold, and must know all of it.
PROGRESS = sa.Table(
    "progress",
    sa.MetaData(),
    sa.Column("user_id", ID, nullable=False),
    sa.Column("item_id", ID, nullable=False),
    sa.Column("position_ms", sa.BigInteger(), nullable=False),
    sa.Column("duration_ms", sa.BigInteger(), nullable=False),
    sa.Column("watched", sa.Boolean(), nullable=False),
    sa.Column("armed", sa.Boolean(), nullable=False),
    sa.Column("last_watched_at", sa.BigInteger(), nullable=False),
    sa.Column("version", sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint("user_id", "item_id", name="pk_progress"),
    sa.ForeignKeyConstraint(["user_id"], ["account.id"], name="fk_progress_user_id", ondelete="CASCADE"),
)


def upgrade() -> None:
    """Let a progress have marks only, remember sessions; add kept points and list states."""
    with op.batch_alter_table("progress", copy_from=PROGRESS, table_kwargs={"sqlite_with_rowid": False}) as batch:
        batch.alter_column("duration_ms", existing_type=sa.BigInteger(), nullable=True)
        batch.alter_column("last_watched_at", existing_type=sa.BigInteger(), nullable=True)
        batch.add_column(sa.Column("changed_at", sa.BigInteger(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("session", sa.Text()))
        batch.add_column(sa.Column("device", sa.Text()))
        batch.add_column(sa.Column("event", sa.Text()))
        batch.add_column(sa.Column("unwatched_at", sa.BigInteger()))
        batch.add_column(sa.Column("completed_session", sa.Text()))
        batch.add_column(sa.Column("completed_duration_ms", sa.BigInteger()))
        batch.add_column(sa.Column("completed_at", sa.BigInteger()))
        batch.add_column(sa.Column("completed_marked", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute("UPDATE progress SET changed_at = last_watched_at")
    with op.batch_alter_table("progress", table_kwargs={"sqlite_with_rowid": False}) as batch:
        batch.alter_column("changed_at", existing_type=sa.BigInteger(), server_default=None)
        batch.alter_column("completed_marked", existing_type=sa.Boolean(), server_default=None)
    op.create_table(
        "credential_epoch",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_credential_epoch"),
    )
    op.create_table(
        "kept_position",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("item_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("position_ms", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("kept_at", sa.BigInteger(), nullable=False),
        sa.Column("device", sa.Text()),
        sa.PrimaryKeyConstraint("user_id", "item_id", "id", name="pk_kept_position"),
        sa.ForeignKeyConstraint(["user_id"], ["account.id"], name="fk_kept_position_user_id", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "list_state",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("item_id", ID, nullable=False),
        sa.Column("hidden_at", sa.BigInteger()),
        sa.Column("snoozed_until", sa.BigInteger()),
        sa.Column("dropped_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("user_id", "item_id", name="pk_list_state"),
        sa.ForeignKeyConstraint(["user_id"], ["account.id"], name="fk_list_state_user_id", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
