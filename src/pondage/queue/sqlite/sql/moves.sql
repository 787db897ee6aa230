-- The statements by which requests move. Rooms' words, one statement each; the engine decides, these only write.

-- name: insert
-- A request begins hot, either queued (state 0) or already given to a runner (state 1, attempt 1).
INSERT INTO requests (seq, id, app, path, caller, state, rank, attempt, strikes, alone, last_n, started_n, submitted_at,
  started_at, start_by, runner, holder, webhook, keep_io, input_bytes, bound, start_at, payload_ttl, head)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: insert_input
INSERT INTO inputs (seq, input) VALUES (?, ?);

-- name: insert_file
INSERT OR IGNORE INTO request_files (file_id, seq) VALUES (?, ?);

-- name: retried_as
UPDATE finished SET retried_as = ? WHERE id = ?;

-- name: insert_token_request
INSERT INTO token_requests (seq, caller, subject) VALUES (?, ?, ?);

-- name: insert_token_file
INSERT OR IGNORE INTO token_files (file_id, seq) VALUES (?, ?);

-- name: insert_finished
-- A request whose outcome came before its insert was written: one row, never hot.
INSERT INTO finished (seq, id, app, path, caller, kind, status, ended_by, attempt, strikes, last_n, started_n,
  completed_n, submitted_at, started_at, finished_at, runner, webhook, keep_io, input_bytes, output_bytes, bytes,
  forget_at, error, error_type, inference_time, head, headers, input, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: claim
-- The walk along requests_waiting is done once, inside; the slots come as a JSON array, so that the n-th row goes to
-- the n-th slot in one statement. RETURNING has no order of its own: the engine sorts by rank.
UPDATE requests SET state = 1, attempt = attempt + 1, runner = chosen.runner, holder = :seat, started_at = :now,
  last_n = last_n + 1, started_n = last_n + 1
FROM (SELECT waiting.seq AS seq, slots.value AS runner
      FROM (SELECT seq, row_number() OVER (ORDER BY rank, seq) - 1 AS place
            FROM (SELECT seq, rank FROM requests WHERE app = :app AND state = 0
                  ORDER BY rank, seq LIMIT :limit)) AS waiting
      JOIN json_each(:slots) AS slots ON slots.key = waiting.place) AS chosen
WHERE requests.seq = chosen.seq
RETURNING id, app, path, caller, submitted_at, webhook, keep_io, head,
  (SELECT input FROM inputs WHERE inputs.seq = requests.seq), rank, seq, attempt, strikes, alone, runner, started_n;

-- name: hot
SELECT seq, app, caller, state, rank, attempt, strikes, last_n, started_n, started_at, runner, webhook,
  input_bytes, submitted_at, head, id
FROM requests WHERE id = ?;

-- name: cold
SELECT seq, attempt, ended_by, last_n, runner FROM finished WHERE id = ?;

-- name: finish
-- From hot to cold in one statement, so that the input is copied inside the database.
INSERT INTO finished (seq, id, app, path, caller, kind, status, ended_by, attempt, strikes, last_n, started_n,
  completed_n, submitted_at, started_at, finished_at, runner, webhook, keep_io, input_bytes, output_bytes, bytes,
  forget_at, error, error_type, inference_time, head, headers, input, body)
SELECT r.seq, r.id, r.app, r.path, r.caller, :kind, :status, :ended_by, r.attempt, r.strikes, r.last_n + 1, r.started_n,
  r.last_n + 1, r.submitted_at, r.started_at, :now, r.runner, r.webhook, r.keep_io, r.input_bytes, :output_bytes,
  r.input_bytes + :output_bytes, :now + r.payload_ttl, :error, :error_type, :inference_time, r.head, :headers, i.input, :body
FROM requests AS r JOIN inputs AS i ON i.seq = r.seq WHERE r.seq = :seq;

-- name: delete_hot
DELETE FROM requests WHERE seq = ?;

-- name: delete_input
DELETE FROM inputs WHERE seq = ?;

-- name: delete_files
DELETE FROM request_files WHERE seq = ?;

-- name: back
-- The rank stays: whatever was claimed later ranks behind it, so that this is the head of the line.
UPDATE requests SET state = 0, strikes = strikes + :strike, alone = :alone, last_n = last_n + 1, started_n = NULL,
  started_at = NULL, runner = '', holder = 0 WHERE seq = :seq;

-- name: spend_attempt
UPDATE requests SET attempt = ?, last_n = last_n + 1 WHERE seq = ?;

-- name: last_chunk
-- The newest chunk of an attempt; the walk ends at the first row that has one.
SELECT last_chunk FROM events WHERE seq = ? AND attempt = ? AND last_chunk IS NOT NULL ORDER BY first_n DESC LIMIT 1;

-- name: insert_events
INSERT INTO events (seq, first_n, attempt, count, last_chunk, entries) VALUES (?, ?, ?, ?, ?, ?);

-- name: hot_last_n
UPDATE requests SET last_n = ? WHERE seq = ?;

-- name: cold_last_n
UPDATE finished SET last_n = ? WHERE seq = ?;

-- name: insert_delivery
INSERT INTO deliveries (delivery_id, request_id, target, event, seq, payload, created_at, due_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: find_key
SELECT fingerprint, request_id, expires_at FROM idempotency WHERE caller = ? AND key = ?;

-- name: put_key
-- A key whose window is over, or whose request is kept no more, names the new request from now on.
INSERT INTO idempotency (caller, key, fingerprint, request_id, expires_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (caller, key) DO UPDATE SET fingerprint = excluded.fingerprint, request_id = excluded.request_id,
  expires_at = excluded.expires_at;

-- name: known
SELECT seq, rank, caller, app, state FROM requests WHERE id = ?1
UNION ALL SELECT seq, NULL, caller, app, 2 FROM finished WHERE id = ?1;
