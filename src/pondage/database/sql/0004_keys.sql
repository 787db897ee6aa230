-- API keys. The secret is never stored: a salted SHA-256 of 256 random bits cannot be searched.

CREATE TABLE api_keys (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  salt BLOB NOT NULL,
  hash BLOB NOT NULL,
  scopes TEXT NOT NULL,             -- comma separated
  apps TEXT,                        -- comma separated; NULL: any
  created_at REAL NOT NULL,
  expires_at REAL,
  revoked_at REAL
) WITHOUT ROWID;

-- One row: raised with every change of a key, so that a server sees with one read what another process changed.
CREATE TABLE api_keys_generation (n INTEGER NOT NULL);
INSERT INTO api_keys_generation (n) VALUES (0);
