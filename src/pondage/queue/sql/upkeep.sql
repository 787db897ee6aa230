-- name: last_seq
SELECT max(coalesce((SELECT max(seq) FROM requests), 0), coalesce((SELECT max(seq) FROM finished), 0));

-- name: waiting
-- Answered from requests_waiting but for the caller; 100,000 rows take a tenth of a second.
SELECT app, rank, caller FROM requests WHERE state = 0 ORDER BY app, rank, seq;

-- name: running
SELECT r.id, r.app, r.path, r.caller, r.submitted_at, r.webhook, r.keep_io, r.head, i.input, r.attempt, r.runner,
  r.strikes, r.alone, r.rank
FROM requests AS r JOIN inputs AS i ON i.seq = r.seq WHERE r.state = 1 ORDER BY r.seq;

-- name: kept_bytes
SELECT coalesce(sum(bytes), 0) FROM finished;

-- name: late
SELECT id FROM requests WHERE state = 0 AND start_by IS NOT NULL AND start_by <= ? ORDER BY start_by LIMIT ?;

-- name: forget_keys
DELETE FROM idempotency WHERE expires_at <= ?;

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

-- name: private
-- Requests whose input and output are kept no longer than needed.
SELECT id FROM requests WHERE keep_io = 0 UNION ALL SELECT id FROM finished WHERE keep_io = 0;

-- name: forgettable
-- Those of them that were read (the ids, as a JSON array), or whose webhook is done.
SELECT seq, id FROM finished
WHERE keep_io = 0 AND (webhook IS NOT NULL OR id IN (SELECT value FROM json_each(?)))
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

-- name: apps
SELECT name, info, first_seen, last_seen, fault FROM apps ORDER BY name;

-- name: referenced
SELECT DISTINCT file_id FROM request_files WHERE file_id IN (SELECT value FROM json_each(?));

-- name: vacuum
PRAGMA incremental_vacuum(200);
