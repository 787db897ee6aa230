-- Operations by filter, and apps that are held. What selects requests is made from the filter, in the engine.

-- name: put_operation
INSERT INTO operations (id, kind, phase, by, at, cursor, changed, passed, ended_at, operation)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: operation
SELECT operation, phase, cursor, changed, passed, ended_at FROM operations WHERE id = ?;

-- name: operations
SELECT operation, phase, cursor, changed, passed, ended_at FROM operations
WHERE :by IS NULL OR by = :by ORDER BY at DESC, id DESC LIMIT :limit;

-- name: unfinished
SELECT id FROM operations WHERE phase = 'running' ORDER BY at, id;

-- name: advance
UPDATE operations SET cursor = ?, changed = changed + ?, passed = passed + ?, phase = ?, ended_at = ? WHERE id = ?;

-- name: steer
UPDATE operations SET phase = ?, ended_at = ?, operation = ? WHERE id = ?;

-- name: put_hold
INSERT INTO holds (app, drained, by, reason, at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (app) DO UPDATE SET drained = excluded.drained, by = excluded.by, reason = excluded.reason, at = excluded.at;

-- name: drop_hold
DELETE FROM holds WHERE app = ?;

-- name: holds
SELECT app, drained, by, reason, at FROM holds ORDER BY app;

-- name: place
UPDATE requests SET rank = ?, head = ? WHERE seq = ?;

-- name: to_retry
SELECT id, app, path, caller, submitted_at, webhook, keep_io, head, input FROM finished WHERE seq = ?;

-- name: was_retried
SELECT seq, attempt, last_n, retried_as FROM finished WHERE id = ?;

-- name: raise_last_n
UPDATE finished SET last_n = ? WHERE seq = ?;

-- name: oldest_waiting
SELECT submitted_at FROM requests NOT INDEXED WHERE state = 0 AND app = ? ORDER BY seq LIMIT 1;
