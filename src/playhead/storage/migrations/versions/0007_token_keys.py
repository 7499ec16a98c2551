"""Tokens are stored under their user, and have a scope."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ID = sa.String(36).with_variant(sa.UUID(as_uuid=False), "postgresql")

# As 0001 made it.
TOKEN = sa.Table(
    "token",
    sa.MetaData(),
    sa.Column("hash", sa.Text(), nullable=False),
    sa.Column("id", ID, nullable=False),
    sa.Column("user_id", ID, nullable=False),
    sa.Column("kind", sa.Text(), nullable=False),
    sa.Column("name", sa.Text(), nullable=False),
    sa.Column("created_at", sa.BigInteger(), nullable=False),
    sa.Column("expires_at", sa.BigInteger()),
    sa.Column("last_used_at", sa.BigInteger()),
    sa.PrimaryKeyConstraint("hash", name="pk_token"),
)


def upgrade() -> None:
    """Key tokens by user and hash; those that exist do not name their user, so they are found by hash as before."""
    op.create_table(
        "token_by_hash",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_token_by_hash"),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO token_by_hash (hash, user_id) SELECT hash, user_id FROM token")
    op.drop_index("ix_token_user_id", "token")
    with op.batch_alter_table("token", copy_from=TOKEN, table_kwargs={"sqlite_with_rowid": False}) as batch:
        batch.drop_constraint("pk_token", type_="primary")
        batch.create_primary_key("pk_token", ["user_id", "hash"])
        batch.add_column(sa.Column("scope", sa.Text(), nullable=False, server_default="all"))
    with op.batch_alter_table("token", table_kwargs={"sqlite_with_rowid": False}) as batch:
        batch.alter_column("scope", existing_type=sa.Text(), server_default=None)
