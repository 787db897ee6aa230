-- The queue's tables. Applied once, in one transaction; never edited after a release: a change is the next number.

-- Hot: requests that are queued or running, and nothing else, so that what claims touch stays small.
-- Their inputs lie beside them, because an update rewrites the whole row.
CREATE TABLE requests (
  seq INTEGER PRIMARY KEY,          -- order of arrival, given by the engine; shared with `finished`
  id TEXT NOT NULL UNIQUE,
  app TEXT NOT NULL,
  path TEXT NOT NULL,
  caller TEXT NOT NULL,
  state INTEGER NOT NULL,           -- 0 queued, 1 running
  rank INTEGER NOT NULL,            -- fair order, computed at submit: priority, then start tag
  attempt INTEGER NOT NULL,         -- the fencing token
  strikes INTEGER NOT NULL,
  alone INTEGER NOT NULL,
  last_n INTEGER NOT NULL,          -- number of the newest event
  started_n INTEGER,                -- number of the current attempt's `started` event
  submitted_at REAL NOT NULL,
  started_at REAL,
  start_by REAL,                    -- wall time by which a runner must have started
  runner TEXT NOT NULL,
  webhook TEXT,
  keep_io INTEGER NOT NULL,
  input_bytes INTEGER NOT NULL,
  head BLOB NOT NULL                -- msgpack: the rest of what the caller brought
);

-- A claim is a walk along this index.
CREATE INDEX requests_waiting ON requests (app, rank, seq) WHERE state = 0;
CREATE INDEX requests_running ON requests (seq) WHERE state = 1;
CREATE INDEX requests_start_by ON requests (start_by) WHERE state = 0 AND start_by IS NOT NULL;

CREATE TABLE inputs (
  seq INTEGER PRIMARY KEY,
  input BLOB NOT NULL
);

-- The server's own files that queued and running requests refer to.
CREATE TABLE request_files (
  file_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY (file_id, seq)
) WITHOUT ROWID;
CREATE INDEX request_files_by_request ON request_files (seq);

-- Cold: requests that have ended. The large columns come last, so that a list never reads them.
CREATE TABLE finished (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  app TEXT NOT NULL,
  path TEXT NOT NULL,
  caller TEXT NOT NULL,
  kind TEXT NOT NULL,               -- ok, error, cancelled
  status INTEGER NOT NULL,
  ended_by TEXT NOT NULL,           -- complete, cancel, expire
  attempt INTEGER NOT NULL,
  strikes INTEGER NOT NULL,
  last_n INTEGER NOT NULL,
  started_n INTEGER,
  completed_n INTEGER NOT NULL,     -- events may follow it: evidence of late writes
  submitted_at REAL NOT NULL,
  started_at REAL,
  finished_at REAL NOT NULL,
  runner TEXT NOT NULL,
  webhook TEXT,
  keep_io INTEGER NOT NULL,         -- 1 keep, 0 drop once read or delivered, -1 dropped
  input_bytes INTEGER NOT NULL,
  output_bytes INTEGER NOT NULL,
  bytes INTEGER NOT NULL,           -- what retention counts
  error TEXT,
  error_type TEXT,
  inference_time REAL,
  head BLOB NOT NULL,
  headers BLOB NOT NULL,            -- msgpack: the outcome's headers and payload_error
  input BLOB NOT NULL,
  body BLOB NOT NULL
);

-- Retention walks from the oldest; `bytes` is in the index so that the sum at start reads nothing else.
CREATE INDEX finished_age ON finished (finished_at, bytes);
CREATE INDEX finished_app ON finished (app, seq);
CREATE INDEX finished_caller ON finished (caller, seq) WHERE caller <> '';
CREATE INDEX finished_drop ON finished (seq) WHERE keep_io = 0;

-- Events, many to a row. `queued`, the current attempt's `started`, and `completed` are columns of the request
-- and appear as numbered events only to readers; a row is written for them when the columns are used again (a retry).
CREATE TABLE events (
  seq INTEGER NOT NULL,
  first_n INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  count INTEGER NOT NULL,
  last_chunk INTEGER,               -- highest chunk number in the row, NULL where it has none
  entries BLOB NOT NULL,            -- msgpack of list[Entry]
  PRIMARY KEY (seq, first_n)
) WITHOUT ROWID;

-- An idempotency key names one request of one caller until it expires.
CREATE TABLE idempotency (
  caller TEXT NOT NULL,
  key TEXT NOT NULL,
  fingerprint BLOB NOT NULL,
  request_id TEXT NOT NULL,
  expires_at REAL NOT NULL,
  PRIMARY KEY (caller, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_expiry ON idempotency (expires_at);

CREATE TABLE apps (
  name TEXT PRIMARY KEY,
  info BLOB NOT NULL,               -- msgpack of AppInfo
  first_seen REAL NOT NULL,
  last_seen REAL NOT NULL,
  fault TEXT
) WITHOUT ROWID;

-- The outbox. A row is written in the transaction of what it tells about: `completed` with the outcome, `started`,
-- `progress` and `log` where the caller asked for them (NewRequest.webhook_events).
CREATE TABLE deliveries (
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused: it is the cursor of the sender and of who fetches what he missed
  delivery_id TEXT NOT NULL UNIQUE, -- the request's id and, but for `completed`, the event's number
  request_id TEXT NOT NULL,
  target TEXT NOT NULL,
  event TEXT NOT NULL,              -- completed | started | progress | log
  seq INTEGER NOT NULL,             -- number of the first event that it tells about, in the request's log
  payload BLOB,                     -- msgpack of list[Entry]; NULL for `completed`: the outcome is in `finished`
  created_at REAL NOT NULL,
  due_at REAL NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL DEFAULT 'owed', -- owed | done | dead
  last_status INTEGER,
  last_reason TEXT
);
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE state = 'owed';
CREATE INDEX deliveries_request ON deliveries (request_id);
