-- What the rival keeps. Tables are in the order of their keys: every look-up is one search.

CREATE TABLE token (
  hash TEXT PRIMARY KEY, -- SHA-256 of what its holder sends, hexadecimal
  user_id TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE item (
  id TEXT PRIMARY KEY,
  library_id TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE library_access (
  user_id TEXT NOT NULL,
  library_id TEXT NOT NULL,
  PRIMARY KEY (user_id, library_id)
) WITHOUT ROWID;

CREATE TABLE progress (
  user_id TEXT NOT NULL,
  item_id TEXT NOT NULL,
  position_seconds REAL NOT NULL,
  duration_seconds REAL NOT NULL,
  watched INTEGER NOT NULL,
  last_watched_at INTEGER NOT NULL, -- milliseconds since the epoch
  PRIMARY KEY (user_id, item_id)
) WITHOUT ROWID;
