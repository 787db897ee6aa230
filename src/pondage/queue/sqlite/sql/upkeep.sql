-- name: last_seq
SELECT max(coalesce((SELECT max(seq) FROM requests), 0), coalesce((SELECT max(seq) FROM finished), 0));

-- name: end_seats
UPDATE seats SET ended_at = ? WHERE ended_at IS NULL;

-- name: begin_seat
INSERT INTO seats (began_at) VALUES (?) RETURNING id;

-- name: forget_seats
-- Ended ones that hold nothing any more; the newest is left, so that its id is never given out again.
DELETE FROM seats WHERE ended_at IS NOT NULL AND id < (SELECT max(id) FROM seats)
  AND id NOT IN (SELECT holder FROM requests WHERE state = 1);

-- name: orphans
-- Running requests of seats that have ended become this seat's, each once: whoever changes the row has it.
UPDATE requests SET holder = :seat
WHERE state = 1 AND holder NOT IN (SELECT id FROM seats WHERE ended_at IS NULL)
RETURNING id, app, path, caller, submitted_at, webhook, keep_io, head,
  (SELECT input FROM inputs WHERE inputs.seq = requests.seq), seq, attempt, runner, strikes, alone;

-- name: bound
-- Runs that end with their callers' connections: at a start those connections are gone.
SELECT id, app, path, caller, submitted_at, webhook, keep_io, head,
  (SELECT input FROM inputs WHERE inputs.seq = requests.seq), attempt FROM requests WHERE bound = 1 ORDER BY seq;

-- name: forget_interrupted
DELETE FROM interrupted WHERE until <= ?;

-- name: put_interrupted
INSERT INTO interrupted (request_id, digest, until) VALUES (?, ?, ?)
ON CONFLICT (request_id) DO UPDATE SET until = excluded.until;

-- name: last_interrupted
SELECT max(until) FROM interrupted;

-- name: resume
-- Whoever deletes the row has it.
DELETE FROM interrupted
WHERE request_id = (SELECT request_id FROM interrupted WHERE digest = ? AND until > ? LIMIT 1) RETURNING request_id;

-- name: flows
-- What waits, by caller; 100,000 rows take a tenth of a second.
SELECT app, rank >> 48, caller, min(rank) AS first, max(rank), count(*) FROM requests WHERE state = 0
GROUP BY app, rank >> 48, caller ORDER BY first;

-- name: brought
-- Of each caller: how many requests wait for their time, and the bytes of all that have not ended.
SELECT caller, sum(state = 3), sum(input_bytes) FROM requests GROUP BY caller;

-- name: running
SELECT id, app, caller, rank FROM requests WHERE state = 1;

-- name: newest_moment
SELECT max(at) FROM (SELECT max(finished_at) AS at FROM finished UNION ALL SELECT max(submitted_at) FROM requests);

-- name: kept_bytes
SELECT coalesce(sum(bytes), 0) FROM finished;

-- name: late
SELECT id FROM requests WHERE state = 0 AND start_by IS NOT NULL AND start_by <= ? ORDER BY start_by LIMIT ?;

-- name: due
SELECT seq, app, caller, head, id FROM requests WHERE state = 3 AND start_at <= ? ORDER BY start_at, seq LIMIT ?;

-- name: release
UPDATE requests SET state = 0, rank = ? WHERE seq = ? AND state = 3 RETURNING seq;

-- name: outlived
SELECT seq, bytes FROM finished
WHERE forget_at <= ? AND forget_at IS NOT NULL AND keep_io <> -1
  AND NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.request_id = finished.id AND d.state = 'owed')
LIMIT ?;

-- name: ended
SELECT seq, bytes FROM finished WHERE id = ?;

-- name: forget_keys
DELETE FROM idempotency WHERE expires_at <= ?;

-- name: forget_operations
DELETE FROM operations WHERE ended_at <= ?;

-- name: oldest
-- What a webhook still has to tell stays until it was told.
SELECT seq, id, bytes, finished_at FROM finished
WHERE finished_at <= ?
  AND NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.request_id = finished.id AND d.state = 'owed')
ORDER BY finished_at LIMIT ?;

-- name: drop
DELETE FROM finished WHERE seq = ?;

-- name: drop_events
DELETE FROM events WHERE seq = ?;

-- name: drop_deliveries
DELETE FROM deliveries WHERE request_id = ?;

-- name: was_read
UPDATE finished SET read_at = ? WHERE id = ? AND keep_io = 0 AND read_at IS NULL;

-- name: private
-- Requests whose input and output are kept no longer than needed.
SELECT id FROM requests WHERE keep_io = 0 UNION ALL SELECT id FROM finished WHERE keep_io = 0;

-- name: forgettable
-- Those of them that were read long enough ago, or whose webhook is done.
SELECT seq, id, bytes FROM finished
WHERE keep_io = 0 AND (webhook IS NOT NULL OR read_at <= ?)
  AND NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.request_id = finished.id AND d.state = 'owed')
LIMIT ?;

-- name: chunk_rows
SELECT first_n, entries FROM events WHERE seq = ? AND last_chunk IS NOT NULL;

-- name: rewrite_events
UPDATE events SET entries = ? WHERE seq = ? AND first_n = ?;

-- name: forget_io
UPDATE finished SET keep_io = -1, input = x'', body = x'', bytes = 0 WHERE seq = ?;

-- name: put_app
INSERT INTO apps (name, info, first_seen, last_seen, fault) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET info = excluded.info, last_seen = excluded.last_seen, fault = excluded.fault;

-- name: has_work
SELECT 1 FROM requests WHERE app = ? LIMIT 1;

-- name: forget_app
DELETE FROM apps WHERE name = ?;

-- name: apps
SELECT name, info, first_seen, last_seen, fault FROM apps ORDER BY name;

-- name: referenced
SELECT DISTINCT file_id FROM request_files WHERE file_id IN (SELECT value FROM json_each(?));

-- name: vacuum
-- It frees one page with each step; nothing is done where none is free.
PRAGMA incremental_vacuum(1000);
