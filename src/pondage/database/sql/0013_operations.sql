-- Operations on many requests, apps that are held, and which failed requests were run again.

CREATE TABLE operations (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  phase TEXT NOT NULL,           -- running | paused | done | undone
  by TEXT NOT NULL,                 -- the key that began it
  at REAL NOT NULL,
  cursor INTEGER NOT NULL,          -- it has looked at every request up to this one
  changed INTEGER NOT NULL,
  passed INTEGER NOT NULL,
  ended_at REAL,
  operation BLOB NOT NULL           -- msgpack of Operation, as it began, and what was said to it
) WITHOUT ROWID;
CREATE INDEX operations_unfinished ON operations (at, id) WHERE phase = 'running';

CREATE TABLE holds (
  app TEXT PRIMARY KEY,
  drained INTEGER NOT NULL,         -- 1: its runners leave as well
  by TEXT NOT NULL,
  reason TEXT NOT NULL,
  at REAL NOT NULL
) WITHOUT ROWID;

-- The request that has run its input again, NULL while none has.
ALTER TABLE finished ADD COLUMN retried_as TEXT;
