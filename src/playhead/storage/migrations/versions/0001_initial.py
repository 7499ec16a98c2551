"""The tables that Playhead begins with."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# A migration stays what it was when it was released: it does not import the schema, which goes on changing.
ID = sa.String(36).with_variant(sa.UUID(as_uuid=False), "postgresql")
SORTED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables and their indexes."""
    op.create_table(
        "account",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "library",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", SORTED, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("path", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("scanned_at", sa.BigInteger()),
        sa.Column("scan_report", sa.Text()),
        sa.Column("scan_id", ID),
        sa.Column("scan_until", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_library"),
        sa.UniqueConstraint("name", name="uq_library_name"),
    )
    op.create_table(
        "login",
        sa.Column("name", SORTED, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_login"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "sign_in_failure",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("failed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", "address", "id", name="pk_sign_in_failure"),
    )
    op.create_index("ix_sign_in_failure_failed_at", "sign_in_failure", ["failed_at"])
    op.create_table(
        "token",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger()),
        sa.Column("last_used_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("hash", name="pk_token"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_token_user_id", "token", ["user_id"])
    op.create_table(
        "item",
        sa.Column("id", ID, nullable=False),
        sa.Column("library_id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("show_id", ID),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("sort_title", SORTED, nullable=False),
        sa.Column("search_title", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer()),
        sa.Column("season_number", sa.Integer()),
        sa.Column("episode_number", sa.Integer()),
        sa.Column("episode_end", sa.Integer()),
        sa.Column("air_date", sa.Text()),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("runtime_ms", sa.BigInteger()),
        sa.Column("credits_ms", sa.BigInteger()),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(["library_id"], ["library.id"], name="fk_item_library_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["show_id"], ["item.id"], name="fk_item_show_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_item"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_item_library_id_identity", "item", ["library_id", "identity"])
    op.create_index("ix_item_library_id_kind_sort_title", "item", ["library_id", "kind", "sort_title", "id"])
    op.create_index(
        "ix_item_show_id_season_number_episode_number", "item", ["show_id", "season_number", "episode_number"]
    )
    op.create_table(
        "library_access",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("library_id", ID, nullable=False),
        sa.Column("granted_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["account.id"], name="fk_library_access_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "library_id", name="pk_library_access"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "media_file",
        sa.Column("id", ID, nullable=False),
        sa.Column("library_id", ID, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.Text()),
        sa.Column("duration_ms", sa.BigInteger()),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("container", sa.Text()),
        sa.Column("width", sa.Integer()),
        sa.Column("height", sa.Integer()),
        sa.Column("video_codec", sa.Text()),
        sa.Column("audio_codec", sa.Text()),
        sa.Column("streams", sa.Text()),
        sa.Column("credits_ms", sa.BigInteger()),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("fault", sa.Text()),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_media_file"),
        sa.UniqueConstraint("library_id", "path", name="uq_media_file_library_id_path"),
        sa.ForeignKeyConstraint(["library_id"], ["library.id"], name="fk_media_file_library_id", ondelete="CASCADE"),
    )
    op.create_index("ix_media_file_library_id_fingerprint", "media_file", ["library_id", "fingerprint"])
    op.create_table(
        "play",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("item_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("watched_at", sa.BigInteger()),
        sa.Column("source", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["account.id"], name="fk_play_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "item_id", "id", name="pk_play"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "progress",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("item_id", ID, nullable=False),
        sa.Column("position_ms", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("watched", sa.Boolean(), nullable=False),
        sa.Column("armed", sa.Boolean(), nullable=False),
        sa.Column("last_watched_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["account.id"], name="fk_progress_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "item_id", name="pk_progress"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "external_id",
        sa.Column("item_id", ID, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_external_id_item_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("item_id", "source", name="pk_external_id"),
    )
    op.create_index("ix_external_id_source_value", "external_id", ["source", "value"])
    op.create_table(
        "file_item",
        sa.Column("file_id", ID, nullable=False),
        sa.Column("item_id", ID, nullable=False),
        sa.Column("part", sa.Integer()),
        sa.ForeignKeyConstraint(["file_id"], ["media_file.id"], name="fk_file_item_file_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_file_item_item_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("file_id", "item_id", name="pk_file_item"),
    )
    op.create_index("ix_file_item_item_id", "file_item", ["item_id"])
