-- What readers ask. Both tables answer with the same columns, so that one function makes a view of a row.

-- name: view_hot
SELECT seq, id, app, path, caller, state, rank, attempt, strikes, last_n, started_n, NULL, submitted_at, started_at,
  NULL, runner, webhook, input_bytes, 0, NULL, NULL, NULL, NULL, NULL, head FROM requests

-- name: view_cold
SELECT seq, id, app, path, caller, 2, NULL, attempt, strikes, last_n, started_n, completed_n, submitted_at, started_at,
  finished_at, runner, webhook, input_bytes, output_bytes, kind, status, error, error_type, inference_time, head
FROM finished

-- name: ahead
-- Counted along the index, as far as somebody would count by hand; beyond it a place is an estimate.
SELECT count(*) FROM (SELECT 1 FROM requests WHERE app = :app AND state = 0 AND (rank, seq) < (:rank, :seq) LIMIT :limit);

-- name: input_hot
SELECT r.id, r.app, r.path, r.caller, r.submitted_at, r.webhook, r.keep_io, r.head, i.input
FROM requests AS r JOIN inputs AS i ON i.seq = r.seq WHERE r.id = ?;

-- name: input_cold
SELECT id, app, path, caller, submitted_at, webhook, keep_io, head, input FROM finished WHERE id = ?;

-- name: outcome
SELECT kind, status, body, headers, error, error_type, inference_time, keep_io FROM finished WHERE id = ?;

-- name: history
-- The walk is bounded, however many of the newest ended badly.
SELECT path, head, inference_time, finished_at - submitted_at
FROM (SELECT seq, path, head, inference_time, finished_at, submitted_at, kind FROM finished
      WHERE app = :app ORDER BY seq DESC LIMIT 5 * :limit)
WHERE kind = 'ok' ORDER BY seq DESC LIMIT :limit;

-- name: is_hot
SELECT 1 FROM requests WHERE id = ?;

-- name: events
-- Begins at the row that holds number ?2, which may have begun before it.
SELECT first_n, attempt, count, entries FROM events
WHERE seq = ?1 AND first_n >= coalesce((SELECT max(first_n) FROM events WHERE seq = ?1 AND first_n <= ?2), 0)
ORDER BY first_n;

-- name: newest
-- From the end back; the bound keeps a poll cheap where a long stream has no log line.
SELECT first_n, attempt, entries FROM events WHERE seq = ?1 ORDER BY first_n DESC LIMIT ?2;

-- name: chunks
SELECT first_n, attempt, entries FROM events
WHERE seq = ?1 AND last_chunk IS NOT NULL AND (attempt > ?2 OR attempt = ?2 AND last_chunk > ?3)
ORDER BY first_n;

-- name: naming
-- Newest first, from the walk along one file's rows.
SELECT t.seq FROM token_files AS f JOIN token_requests AS t ON t.seq = f.seq
WHERE f.file_id = ? AND t.caller = ? ORDER BY f.seq DESC LIMIT ?;

-- name: seq
SELECT seq FROM requests WHERE id = ?1 UNION ALL SELECT seq FROM finished WHERE id = ?1;

-- name: finished_ends
-- Each by itself: asked for together, the whole table is read.
SELECT (SELECT min(seq) FROM finished), (SELECT max(seq) FROM finished);

-- name: finished_from
SELECT seq, submitted_at FROM finished WHERE seq >= ? ORDER BY seq LIMIT 1;
