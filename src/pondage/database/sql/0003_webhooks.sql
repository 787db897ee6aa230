-- What the webhook sender keeps beside the outbox: the log of tries, keys, listeners on laptops.

-- The outbox is walked host by host, so that a dead host's rows never stand before a healthy one's.
ALTER TABLE deliveries ADD COLUMN origin TEXT GENERATED ALWAYS AS (
  substr(target, 1, instr(target, '://') + 1 + instr(substr(target, instr(target, '://') + 3) || '/', '/'))
) VIRTUAL;
ALTER TABLE deliveries ADD COLUMN replayed_at REAL;            -- the schedule counts from here, if it was replayed
ALTER TABLE deliveries ADD COLUMN replayed_tries INTEGER NOT NULL DEFAULT 0; -- tries before the last replay
ALTER TABLE deliveries ADD COLUMN done_at REAL;                -- when it became done or dead

CREATE INDEX deliveries_origin ON deliveries (origin, due_at, id) WHERE state = 'owed';
CREATE INDEX deliveries_owed ON deliveries (request_id, id) WHERE state = 'owed';

CREATE TABLE delivery_tries (
  delivery INTEGER NOT NULL,
  n INTEGER NOT NULL,               -- from 1
  at REAL NOT NULL,
  duration REAL NOT NULL,           -- seconds
  status INTEGER,                   -- NULL: no answer
  reason TEXT NOT NULL,             -- empty for a success
  note TEXT NOT NULL,               -- what the circuit breaker did about it
  answer BLOB NOT NULL,             -- the first bytes of the answer's body
  PRIMARY KEY (delivery, n)
) WITHOUT ROWID;

-- The log goes with the delivery, and the delivery with its request.
CREATE TRIGGER delivery_tries_go AFTER DELETE ON deliveries BEGIN
  DELETE FROM delivery_tries WHERE delivery = OLD.id;
END;

CREATE TABLE webhook_keys (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,               -- ed25519 | secret
  target TEXT NOT NULL,             -- a secret's origin (https://host:port); empty: any
  private BLOB NOT NULL,
  created_at REAL NOT NULL,
  signs_from REAL NOT NULL,
  retires_at REAL                   -- NULL: in use
) WITHOUT ROWID;

-- `pondage webhooks listen`: a temporary target that hears of every request, or of one app's.
CREATE TABLE webhook_listeners (
  id TEXT PRIMARY KEY,
  app TEXT NOT NULL,                -- empty: any
  caller TEXT NOT NULL,             -- the API key it came with; empty: any request
  created_at REAL NOT NULL,
  seen_at REAL NOT NULL
) WITHOUT ROWID;

-- In the transaction of the outcome, so that a listener misses nothing, not even while the server is restarted.
CREATE TRIGGER webhook_listeners_hear AFTER INSERT ON finished
WHEN EXISTS (SELECT 1 FROM webhook_listeners)
BEGIN
  INSERT INTO deliveries (delivery_id, request_id, target, event, seq, created_at, due_at)
  SELECT NEW.id || '-' || id, NEW.id, 'listen://' || id || '/', 'completed', NEW.completed_n, NEW.finished_at,
    NEW.finished_at
  FROM webhook_listeners
  WHERE (app = '' OR app = NEW.app) AND (caller = '' OR caller = NEW.caller);
END;
