-- How high a key's requests may stand, its secret before the last rotation, and when it was used last and from where.

ALTER TABLE api_keys ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;  -- the highest: 0 normal, 1 low
ALTER TABLE api_keys ADD COLUMN rotated_at REAL;
ALTER TABLE api_keys ADD COLUMN old_salt BLOB;
ALTER TABLE api_keys ADD COLUMN old_hash BLOB;
ALTER TABLE api_keys ADD COLUMN old_until REAL;                       -- so long the old secret opens, too
ALTER TABLE api_keys ADD COLUMN used_at REAL;
ALTER TABLE api_keys ADD COLUMN used_from TEXT;
