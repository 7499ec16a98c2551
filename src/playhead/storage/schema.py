"""The tables: one schema for SQLite, PostgreSQL and a distributed PostgreSQL. Knows no queries.

Users' data is keyed by user first, so that a distributed engine can shard by user. It has no foreign keys to the
catalogue: what people watched outlives the files. Ids are canonical UUID strings, times and lengths are integer
milliseconds.
See docs/decisions/0004-one-schema-for-three-engines.md.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import UUID

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# On SQLite, tables that every request looks up by id are stored in primary key order: one search instead of two.

# The canonical 36 characters: the same string in the API, the log and the database. PostgreSQL keeps 16 bytes.
Id = String(36).with_variant(UUID(as_uuid=False), "postgresql")

# Sort keys: compared by code point on every engine, whatever a PostgreSQL server's locale.
Sorted = Text().with_variant(Text(collation="C"), "postgresql")

# Catalogue: small, read by all users, replicated to every node of a distributed engine.

library = Table(
    "library",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Sorted, nullable=False),
    Column("kind", Text, nullable=False),  # movies, shows
    Column("path", Text),  # absolute folder; null for a library that is only imported
    Column("created_at", BigInteger, nullable=False),
    Column("scanned_at", BigInteger),
    Column("scan_report", Text),  # JSON: what the last scan did, and the files that it skipped
    # Who is scanning it, and until when the lease lasts unless renewed.
    Column("scan_id", Id),
    Column("scan_until", BigInteger),
    # The row stays, because its files and holdings are how the same titles are found again elsewhere.
    Column("removed_at", BigInteger),
)
Index(
    "uq_library_name",
    library.c.name,
    unique=True,
    sqlite_where=library.c.removed_at.is_(None),
    postgresql_where=library.c.removed_at.is_(None),
)

# A title: one row per installation, whatever libraries hold it.
item = Table(
    "item",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Text, nullable=False),  # movie, show, episode
    Column("show_id", Id, ForeignKey("item.id", ondelete="CASCADE")),  # episodes only
    Column("title", Text, nullable=False),
    Column("sort_title", Sorted, nullable=False),
    Column("search_title", Text, nullable=False),  # without case and accents
    Column("year", Integer),
    Column("season_number", Integer),
    Column("episode_number", Integer),
    Column("episode_end", Integer),  # the last episode of a file with several, which starts with this one
    Column("air_date", Text),  # ISO 8601 calendar date
    # Identifies the item when it returns without an external id: normalised title, year and numbers. Titles whose year
    # is unknown are found by its range.
    Column("identity", Sorted, nullable=False),
    Column("runtime_ms", BigInteger),  # the shortest of its files (rule 6)
    Column("credits_ms", BigInteger),  # where the closing credits begin, if known (rule 6)
    Column("added_at", BigInteger, nullable=False),
    # The place of a special: before this episode (0: all) of this season; without an episode, behind the season.
    Column("placed_season", Integer),
    Column("placed_before", Integer),
    # JSON: library, length, credits and part of each file, so that a save looks up no other table.
    Column("files", Text),
    Column("pinned", Text),  # JSON: the members that an admin has set, which scans and imports leave alone
    Column("is_open", Boolean, nullable=False),  # known by a public id, whether or not a library holds it
    Column("owner_id", Id),  # a private item: told by title alone, seen by this user
    Index("ix_item_kind_sort_title", "kind", "sort_title", "id"),
    Index("ix_item_identity", "identity"),
    Index("ix_item_show_id_season_number_episode_number", "show_id", "season_number", "episode_number"),
    # Contains all that a search compares. PostgreSQL reads the table, since its indexes take no text of any length.
    Index("ix_item_search_title_year_kind", "search_title", "year", "kind").ddl_if(dialect="sqlite"),
    Index("ix_item_air_date", "air_date"),
    sqlite_with_rowid=False,
)

# The words of titles by what is typed for them with a typo: each with itself, and without each of its letters.
spelling = Table(
    "spelling",
    metadata,
    Column("key", Sorted, primary_key=True),
    Column("word", Sorted, primary_key=True),
    sqlite_with_rowid=False,
)

# A library has, or had, files of an item, or an import says so.
holding = Table(
    "holding",
    metadata,
    Column("item_id", Id, ForeignKey("item.id", ondelete="CASCADE"), primary_key=True),
    Column("library_id", Id, ForeignKey("library.id", ondelete="CASCADE"), primary_key=True),
    Column("added_at", BigInteger, nullable=False),
    Column("removed_at", BigInteger),  # no file is left in this library
    Column("ended_at", BigInteger),  # an admin took it out of this library: who sees it by this library no longer does
    Column("told", Text, nullable=False),  # JSON: the title and year that this library's files or import give
    # Contains all that lists of a library ask.
    Index("ix_holding_library_id_item_id", "library_id", "item_id", "removed_at", "ended_at"),
    sqlite_with_rowid=False,
)

# Every id that was ever handed out means its item for ever. Never names another alias.
alias = Table(
    "alias",
    metadata,
    Column("id", Id, primary_key=True),
    Column("item_id", Id, ForeignKey("item.id", ondelete="CASCADE"), nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("swept_at", BigInteger),  # null: rows under the old id may still be written by transactions under way
    Index("ix_alias_item_id", "item_id"),
    sqlite_with_rowid=False,
)

external_id = Table(
    "external_id",
    metadata,
    Column("item_id", Id, ForeignKey("item.id", ondelete="CASCADE"), primary_key=True),
    Column("source", Text, primary_key=True),  # tmdb, imdb, tvdb, …
    Column("value", Text, nullable=False),
    Index("ix_external_id_source_value", "source", "value"),
)

media_file = Table(
    "media_file",
    metadata,
    Column("id", Id, primary_key=True),
    Column("library_id", Id, ForeignKey("library.id", ondelete="CASCADE"), nullable=False),
    Column("path", Text, nullable=False),  # relative to the library's folder, with forward slashes
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("fingerprint", Text),  # of size and sampled content: finds a renamed file again
    Column("duration_ms", BigInteger),
    Column("label", Text, nullable=False),  # such as "2160p HEVC"
    Column("container", Text),
    Column("width", Integer),
    Column("height", Integer),
    Column("video_codec", Text),
    Column("audio_codec", Text),
    Column("streams", Text),  # JSON: every stream with its kind, codec and language
    Column("credits_ms", BigInteger),
    # The source of everything else that was read: rules version, size and time of NFO files. If it changes, read again.
    Column("evidence", Text, nullable=False),
    Column("fault", Text),  # why it is skipped; it is opened again only when it changes
    Column("added_at", BigInteger, nullable=False),
    Column("removed_at", BigInteger),
    Column("meant", Text),  # JSON: the items that its external ids mean, if these disagree
    UniqueConstraint("library_id", "path"),
    Index("ix_media_file_fingerprint", "fingerprint"),
)

file_item = Table(
    "file_item",
    metadata,
    Column("file_id", Id, ForeignKey("media_file.id", ondelete="CASCADE"), primary_key=True),
    Column("item_id", Id, ForeignKey("item.id", ondelete="CASCADE"), primary_key=True),
    Column("part", Integer),  # 1, 2, … if the item's timeline is split into several files
    Index("ix_file_item_item_id", "item_id"),
)

# What a person says a file is. Found by content, else by path: survives rescans, renames and replaced files.
identification = Table(
    "identification",
    metadata,
    Column("id", Id, primary_key=True),
    Column("library_id", Id, ForeignKey("library.id", ondelete="CASCADE"), nullable=False),
    Column("path", Text, nullable=False),
    Column("fingerprint", Text),
    Column("told", Text, nullable=False),  # JSON: title, year, ids, numbers, part, edition; or that it is ignored
    Column("made_by", Id, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    UniqueConstraint("library_id", "path"),
    Index("ix_identification_fingerprint", "fingerprint"),
)

# Acts of admins on the catalogue.
audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("user_id", Id),  # null: the command line
    Column("act", Text, nullable=False),
    Column("subject", Text, nullable=False),  # what was changed, in words
    Column("data", Text, nullable=False),  # JSON: what the act changed, and what undoing it needs
    Column("undone_at", BigInteger),
    Index("ix_audit_at", "at", "id"),
)

# Accounts. A table sharded by user cannot have unique names, so names are a table of their own.

login = Table(
    "login",
    metadata,
    Column("name", Sorted, primary_key=True),  # case-folded
    Column("user_id", Id, nullable=False),
    sqlite_with_rowid=False,
)

account = Table(
    "account",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False),  # as it was typed
    Column("role", Text, nullable=False),  # admin, member
    Column("password_hash", Text, nullable=False),  # "!": no password
    Column("created_at", BigInteger, nullable=False),
    Column("time_zone", Text),  # a name of the IANA database; null: UTC
    Column("language", Text),  # a BCP 47 tag; null: that of the browser
    sqlite_with_rowid=False,
)

token = Table(
    "token",
    metadata,
    Column("hash", Text, nullable=False),  # SHA-256 of the token, hexadecimal
    Column("id", Id, nullable=False),
    Column("user_id", Id, nullable=False),
    Column("kind", Text, nullable=False),  # session, api, setup
    Column("name", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("last_used_at", BigInteger),  # to the day: refreshing it must not cost one write per request
    Column("scope", Text, nullable=False),  # read, report, all
    PrimaryKeyConstraint("user_id", "hash"),
    sqlite_with_rowid=False,
)

# The owner of a token that does not begin with its user's id: all that were issued before native tokens.
token_by_hash = Table(
    "token_by_hash",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("user_id", Id, nullable=False),
    sqlite_with_rowid=False,
)

# Identities at issuers, and the accounts linked to them. Looked up by issuer and subject: not sharded by user.
identity = Table(
    "identity",
    metadata,
    Column("issuer", Text, primary_key=True),  # the URL of an OpenID provider, or "proxy"
    Column("subject", Text, primary_key=True),
    Column("id", Id, nullable=False, unique=True),
    Column("user_id", Id, nullable=False),
    Column("name", Text, nullable=False),  # as last stated by the issuer
    Column("linked_at", BigInteger, nullable=False),
    Column("used_at", BigInteger, nullable=False),  # to the day
    Index("ix_identity_user_id", "user_id"),
    sqlite_with_rowid=False,
)

# Sign-ins of more than one request, for some minutes.
sign_in_step = Table(
    "sign_in_step",
    metadata,
    Column("hash", Text, primary_key=True),  # SHA-256 of the secret that the next request presents, hexadecimal
    Column("kind", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("data", Text, nullable=False),  # JSON
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_sign_in_step_address", "address"),
    Index("ix_sign_in_step_expires_at", "expires_at"),
    sqlite_with_rowid=False,
)

# Sessions opened through a provider, for signing out there, too.
provider_session = Table(
    "provider_session",
    metadata,
    Column("user_id", Id, primary_key=True),
    Column("token_hash", Text, primary_key=True),  # as token.hash
    Column("id_token", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    ForeignKeyConstraint(["user_id"], ["account.id"], ondelete="CASCADE"),
    sqlite_with_rowid=False,
)

# Counts changes that end a credential or change its rights, so that processes know when to clear their caches.
credential_epoch = Table(
    "credential_epoch",
    metadata,
    Column(
        "id", Integer, primary_key=True, autoincrement=False
    ),  # 1: there is one row, or none before the first change
    Column("number", BigInteger, nullable=False),
)

sign_in_failure = Table(
    "sign_in_failure",
    metadata,
    Column("name", Text, primary_key=True),  # as login.name, whether or not such an account exists
    Column("address", Text, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("failed_at", BigInteger, nullable=False),
    Index("ix_sign_in_failure_failed_at", "failed_at"),
)

# Devices that wait to be signed in. Both codes are stored as SHA-256 in hexadecimal digits; a row lasts ten minutes.
device_code = Table(
    "device_code",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("user_code_hash", Text, nullable=False, unique=True),
    Column("purpose", Text, nullable=False),  # the protocol that created it: native
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),  # tv, player, computer, phone, other
    Column("address", Text, nullable=False),
    Column("sender", Text, nullable=False),  # the address, or the IPv6 network, by which requests are counted
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("decided_at", BigInteger),  # null: pending
    Column("user_id", Id),  # who approved it; null if it was denied
    Column("redeemed_at", BigInteger),  # null: not used to sign in yet
    Index("ix_device_code_decided_at", "decided_at"),
    Index("ix_device_code_sender", "sender"),
    sqlite_with_rowid=False,
)

# Guesses at short codes, by user or address.
guess = Table(
    "guess",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("made_at", BigInteger, nullable=False),
    Index("ix_guess_made_at", "made_at"),
)

# Remembered devices: small tables, replicated like the accounts.
household_device = Table(
    "household_device",
    metadata,
    Column("id", Id, primary_key=True),
    Column("hash", Text, nullable=False, unique=True),  # SHA-256 of the secret in its cookie
    Column("name", Text, nullable=False),
    Column("remembered_by", Id, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger, nullable=False),  # to the day
    Index("ix_household_device_remembered_by", "remembered_by"),
    sqlite_with_rowid=False,
)

household_person = Table(
    "household_person",
    metadata,
    Column("device_id", Id, primary_key=True),
    Column("user_id", Id, primary_key=True),
    Column("allows_tap", Boolean, nullable=False),
    Column("added_at", BigInteger, nullable=False),
    Column("pin_failures", Integer, nullable=False),  # since the last right PIN or password
    Column("pin_failed_at", BigInteger),
    Index("ix_household_person_user_id", "user_id"),
    sqlite_with_rowid=False,
)

# The sessions opened at a tile, so that they end with the device.
household_session = Table(
    "household_session",
    metadata,
    Column("user_id", Id, primary_key=True),
    Column("token_hash", Text, primary_key=True),
    Column("device_id", Id, nullable=False),
    Index("ix_household_session_device_id", "device_id"),
    sqlite_with_rowid=False,
)

pin = Table(
    "pin",
    metadata,
    Column("user_id", Id, primary_key=True),
    Column("hash", Text, nullable=False),  # argon2id
    Column("set_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Users' data: keyed by user first, and never deleted by cascade from the catalogue.

library_access = Table(
    "library_access",
    metadata,
    Column("user_id", Id, primary_key=True),
    Column("library_id", Id, primary_key=True),
    Column("granted_at", BigInteger, nullable=False),
    ForeignKeyConstraint(["user_id"], ["account.id"], ondelete="CASCADE"),
    sqlite_with_rowid=False,
)

passkey = Table(
    "passkey",
    metadata,
    Column("user_id", Id, primary_key=True),
    Column("credential_id", Text, primary_key=True),  # base64url
    Column("id", Id, nullable=False),
    Column("public_key", Text, nullable=False),  # COSE, base64url
    Column("sign_count", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    ForeignKeyConstraint(["user_id"], ["account.id"], ondelete="CASCADE"),
    sqlite_with_rowid=False,
)

recovery_code = Table(
    "recovery_code",
    metadata,
    Column("user_id", Id, primary_key=True),
    Column("hash", Text, primary_key=True),  # SHA-256, hexadecimal
    Column("created_at", BigInteger, nullable=False),
    ForeignKeyConstraint(["user_id"], ["account.id"], ondelete="CASCADE"),
    sqlite_with_rowid=False,
)

# Users whose sign-in needs password and passkey together.
second_factor = Table(
    "second_factor",
    metadata,
    Column("user_id", Id, primary_key=True),
    Column("since", BigInteger, nullable=False),
    ForeignKeyConstraint(["user_id"], ["account.id"], ondelete="CASCADE"),
    sqlite_with_rowid=False,
)

# No index on what every report changes: it would double the cost of a save.
progress = Table(
    "progress",
    metadata,
    Column("user_id", Id, primary_key=True),
    Column("item_id", Id, primary_key=True),
    Column("position_ms", BigInteger, nullable=False),
    Column("duration_ms", BigInteger),  # null: marked, but never reported
    Column("watched", Boolean, nullable=False),
    Column("armed", Boolean, nullable=False),
    Column("last_watched_at", BigInteger),  # null: marked, but never reported
    Column("version", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),  # when the server changed it, for clients that synchronise
    # The report that was applied last (rule 3), and what now playing shows of it.
    Column("session", Text),
    Column("device", Text),
    Column("event", Text),  # start, progress, pause, seek, stop
    Column("unwatched_at", BigInteger),  # earlier reports that arrive late change nothing (rule 2)
    # The automatic completion, so that it can be taken back (rule 8).
    Column("completed_session", Text),
    Column("completed_duration_ms", BigInteger),
    Column("completed_at", BigInteger),
    Column("completed_marked", Boolean, nullable=False),
    Column("file_id", Text),  # the file that plays, as the last report named it
    ForeignKeyConstraint(["user_id"], ["account.id"], ondelete="CASCADE"),
    sqlite_with_rowid=False,
)

play = Table(
    "play",
    metadata,
    Column("user_id", Id, primary_key=True),
    Column("item_id", Id, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("watched_at", BigInteger),  # null: at an unknown time
    Column("source", Text, nullable=False),  # automatic, marked, imported
    ForeignKeyConstraint(["user_id"], ["account.id"], ondelete="CASCADE"),
    # Used to find out whether a completing report belongs to a viewing that is counted already (rule 6).
    Index("ix_play_user_id_item_id_watched_at", "user_id", "item_id", "watched_at"),
    sqlite_with_rowid=False,
)

# Points replaced by later reports, which can be restored (rule 9).
kept_position = Table(
    "kept_position",
    metadata,
    Column("user_id", Id, primary_key=True),
    Column("item_id", Id, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("position_ms", BigInteger, nullable=False),
    Column("duration_ms", BigInteger, nullable=False),
    Column("kept_at", BigInteger, nullable=False),
    Column("device", Text),
    ForeignKeyConstraint(["user_id"], ["account.id"], ondelete="CASCADE"),
    sqlite_with_rowid=False,
)

# A user's decisions about the card of a movie or show in the lists. Reports do not need them: not in progress.
list_state = Table(
    "list_state",
    metadata,
    Column("user_id", Id, primary_key=True),
    Column("item_id", Id, primary_key=True),
    Column("hidden_at", BigInteger),  # off continue watching until later activity
    Column("snoozed_until", BigInteger),
    Column("dropped_at", BigInteger),  # shows only
    ForeignKeyConstraint(["user_id"], ["account.id"], ondelete="CASCADE"),
    sqlite_with_rowid=False,
)
