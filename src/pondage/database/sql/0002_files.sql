-- Files: names and types here, bytes in the store. A file is visible when its row is here, and only then.

-- The bytes. `key` is where they lie in the store; files and parts with the same bytes share one.
CREATE TABLE blobs (
  key TEXT PRIMARY KEY,
  digest TEXT NOT NULL,             -- address of the content, hex; empty: came straight to the object store
  sha256 TEXT NOT NULL,             -- hex, where a sender has named it; otherwise empty
  size INTEGER NOT NULL,
  sums BLOB NOT NULL,               -- of each block the first 8 bytes of its BLAKE3; empty: unknown
  created_at REAL NOT NULL,
  doomed_at REAL                    -- nobody refers to it and its bytes are being deleted; never comes back
);
CREATE INDEX blobs_digest ON blobs (digest) WHERE doomed_at IS NULL AND digest <> '';
CREATE INDEX blobs_doomed ON blobs (key) WHERE doomed_at IS NOT NULL;

CREATE TABLE files (
  id TEXT PRIMARY KEY,              -- 128 random bits: whoever knows the URL of a public file may read it
  blob TEXT NOT NULL,
  file_name TEXT NOT NULL,
  content_type TEXT NOT NULL,
  size INTEGER NOT NULL,
  created_at REAL NOT NULL,
  expires_at REAL,                  -- NULL: never
  owner TEXT NOT NULL,              -- id of the API key; empty without keys
  private INTEGER NOT NULL,
  request_id TEXT NOT NULL          -- the request that made it; empty for an upload
) WITHOUT ROWID;
CREATE INDEX files_blob ON files (blob);
CREATE INDEX files_expiry ON files (expires_at, id) WHERE expires_at IS NOT NULL;
CREATE INDEX files_listed ON files (created_at, id);

-- An upload that was granted: the file's name, type and fate are settled before the first byte comes.
CREATE TABLE uploads (
  id TEXT PRIMARY KEY,
  file_id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,               -- single | multipart | direct (straight to the object store)
  key TEXT NOT NULL,                -- of a direct upload: where the bytes will lie
  file_name TEXT NOT NULL,
  content_type TEXT NOT NULL,
  owner TEXT NOT NULL,
  private INTEGER NOT NULL,
  expires_in REAL,                  -- seconds that the file will live; NULL: for ever
  created_at REAL NOT NULL,
  open_until REAL NOT NULL,         -- unfinished after this, it is forgotten
  done_at REAL
) WITHOUT ROWID;
CREATE INDEX uploads_open ON uploads (open_until);

CREATE TABLE upload_parts (
  upload TEXT NOT NULL,
  n INTEGER NOT NULL,               -- from 1
  blob TEXT NOT NULL,
  size INTEGER NOT NULL,
  etag TEXT NOT NULL,
  PRIMARY KEY (upload, n)
) WITHOUT ROWID;
CREATE INDEX upload_parts_blob ON upload_parts (blob);

-- One row: bytes in the store, kept by the triggers, so that the quota costs no sum over the files.
CREATE TABLE files_used (bytes INTEGER NOT NULL);
INSERT INTO files_used (bytes) VALUES (0);
CREATE TRIGGER blobs_come AFTER INSERT ON blobs BEGIN
  UPDATE files_used SET bytes = bytes + NEW.size;
END;
CREATE TRIGGER blobs_go AFTER DELETE ON blobs BEGIN
  UPDATE files_used SET bytes = bytes - OLD.size;
END;

-- One row: the key that signs upload URLs, tokens and URLs of private files.
CREATE TABLE files_secret (secret BLOB NOT NULL);
INSERT INTO files_secret (secret) VALUES (randomblob(32));
