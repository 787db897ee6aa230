-- Runs whose callers were cut off by a stop or a crash, so that one repeat of each finds it instead of running it again.

-- 1 for a request that nothing but its caller's connection leads to: a `run` without an idempotency key.
ALTER TABLE requests ADD COLUMN bound INTEGER NOT NULL DEFAULT 0;
CREATE INDEX requests_bound ON requests (seq) WHERE bound = 1;

CREATE TABLE interrupted (
  request_id TEXT PRIMARY KEY,
  digest BLOB NOT NULL,             -- SHA-256 of who called what, with which input
  until REAL NOT NULL               -- wall seconds until which it may be repeated
) WITHOUT ROWID;
CREATE INDEX interrupted_by_digest ON interrupted (digest);
