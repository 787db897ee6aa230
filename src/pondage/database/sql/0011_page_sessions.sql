-- Who is signed in on the pages. Secrets are 256 random bits, of which a hash is kept.

CREATE TABLE page_links (
  hash BLOB PRIMARY KEY,
  key_id TEXT NOT NULL,             -- empty: a person of this machine
  expires_at REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE page_sessions (
  hash BLOB PRIMARY KEY,
  key_id TEXT NOT NULL,
  created_at REAL NOT NULL,
  expires_at REAL NOT NULL
) WITHOUT ROWID;
