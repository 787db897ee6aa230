-- The outbox as the sender and its readers see it.

-- name: heads
-- Each origin that is owed something, and when its first delivery is due: a skip along deliveries_origin, one step for
-- each origin however many rows it has.
WITH RECURSIVE origins (origin) AS (
  SELECT min(origin) FROM deliveries WHERE state = 'owed'
  UNION ALL
  SELECT (SELECT min(origin) FROM deliveries WHERE state = 'owed' AND origin > origins.origin)
  FROM origins WHERE origins.origin IS NOT NULL
)
SELECT origin, (SELECT min(due_at) FROM deliveries AS d WHERE d.state = 'owed' AND d.origin = origins.origin)
FROM origins WHERE origin IS NOT NULL;

-- name: newest
SELECT coalesce(max(id), 0) FROM deliveries;

-- name: heard
-- What was committed since. There is one writer, so numbers appear in order and none is overlooked.
SELECT id, origin, due_at FROM deliveries WHERE id > ? ORDER BY id LIMIT ?;

-- name: due
-- One origin's due deliveries. Those of one request go in order; the outcome waits only for what was never tried.
SELECT d.id, d.delivery_id, d.request_id, d.target, d.origin, d.event, d.seq, d.payload, d.created_at, d.due_at,
  d.tries, d.replayed_at, d.replayed_tries,
  coalesce((SELECT caller FROM finished AS f WHERE f.id = d.request_id),
    (SELECT caller FROM requests AS r WHERE r.id = d.request_id), '')
FROM deliveries AS d
WHERE d.state = 'owed' AND d.origin = ? AND d.due_at <= ?
  AND NOT EXISTS (SELECT 1 FROM deliveries AS e
    WHERE e.state = 'owed' AND e.request_id = d.request_id AND e.seq < d.seq AND e.target = d.target
      AND (d.event <> 'completed' OR e.tries = 0))
ORDER BY d.due_at, d.id LIMIT ?;

-- name: next_due
SELECT min(due_at) FROM deliveries WHERE state = 'owed' AND origin = ? AND due_at > ?;

-- name: owed
SELECT d.id, d.delivery_id, d.request_id, d.target, d.origin, d.event, d.seq, d.payload, d.created_at, d.due_at,
  d.tries, d.replayed_at, d.replayed_tries,
  coalesce((SELECT caller FROM finished AS f WHERE f.id = d.request_id),
    (SELECT caller FROM requests AS r WHERE r.id = d.request_id), '')
FROM deliveries AS d WHERE d.delivery_id = ? AND d.state = 'owed';

-- name: used
SELECT EXISTS (SELECT 1 FROM deliveries) OR EXISTS (SELECT 1 FROM webhook_listeners)
  OR EXISTS (SELECT 1 FROM requests WHERE webhook IS NOT NULL);

-- name: insert_try
INSERT INTO delivery_tries (delivery, n, at, duration, status, reason, note, answer) VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: update_tried
UPDATE deliveries SET tries = ?, state = ?, due_at = ?, last_status = ?, last_reason = ?, done_at = ? WHERE id = ?;

-- name: overtaken_by_outcome
-- Once the outcome was tried, what came before it tells nothing new.
UPDATE deliveries SET state = 'dead', last_reason = 'overtaken by the outcome', done_at = ?
WHERE state = 'owed' AND request_id = ? AND target = ? AND seq < ? AND event <> 'completed';

-- name: progress_overtaken
-- A progress that a newer one, or the outcome, already overtook.
SELECT 1 FROM deliveries WHERE state = 'owed' AND request_id = ? AND target = ? AND seq > ?
  AND event IN ('progress', 'completed') LIMIT 1;

-- name: drop_progress
UPDATE deliveries SET state = 'done', last_reason = 'overtaken by newer progress', done_at = ? WHERE id = ?;

-- name: postpone
UPDATE deliveries SET due_at = ? WHERE id = ? AND state = 'owed';

-- name: bring_forward
UPDATE deliveries SET due_at = due_at - ? WHERE state = 'owed';

-- name: due_again
UPDATE deliveries SET due_at = ? WHERE state = 'owed' AND due_at > ?;

-- name: disable
-- The receiver answered 410: it wants nothing more about this request.
UPDATE deliveries SET state = 'dead', last_reason = 'the receiver answered 410 before', done_at = ?
WHERE state = 'owed' AND request_id = ? AND target = ?;

-- name: expire
-- Also what waits behind a host that is left alone ends at last, so that retention can drop its request.
UPDATE deliveries SET state = 'dead', last_reason = 'given up: owed for longer than requests are kept', done_at = ?
WHERE state = 'owed' AND due_at <= ? AND coalesce(replayed_at, created_at) < ?;

-- name: owner
SELECT caller, app FROM finished WHERE id = ?1 UNION ALL SELECT caller, app FROM requests WHERE id = ?1;

-- name: one
SELECT d.id, d.delivery_id, d.request_id, d.target, d.event, d.state, d.created_at, d.due_at, d.tries, d.last_status,
  d.last_reason, d.done_at, d.origin
FROM deliveries AS d WHERE d.delivery_id = ?;

-- name: tail
-- By the tail of an id, as people copy it from a screen. Newest first, and only of what the caller may see.
SELECT d.delivery_id FROM deliveries AS d
WHERE (d.delivery_id LIKE :tail OR d.request_id LIKE :tail)
  AND (:caller IS NULL OR EXISTS (SELECT 1 FROM finished AS f WHERE f.id = d.request_id AND f.caller = :caller)
    OR EXISTS (SELECT 1 FROM requests AS r WHERE r.id = d.request_id AND r.caller = :caller))
  AND (:apps IS NULL
    OR EXISTS (SELECT 1 FROM finished AS f WHERE f.id = d.request_id AND f.app IN (SELECT value FROM json_each(:apps)))
    OR EXISTS (SELECT 1 FROM requests AS r WHERE r.id = d.request_id AND r.app IN (SELECT value FROM json_each(:apps))))
ORDER BY d.id DESC LIMIT 2;

-- name: of_request
SELECT id, delivery_id, request_id, target, event, state, created_at, due_at, tries, last_status, last_reason, done_at,
  origin
FROM deliveries WHERE request_id = ? ORDER BY id DESC LIMIT ?;

-- name: list
-- Newest first. Every condition is off where its parameter is NULL.
SELECT d.id, d.delivery_id, d.request_id, d.target, d.event, d.state, d.created_at, d.due_at, d.tries, d.last_status,
  d.last_reason, d.done_at, d.origin
FROM deliveries AS d
WHERE (:before IS NULL OR d.id < :before)
  AND (:state IS NULL OR d.state = :state) AND (:since IS NULL OR d.created_at >= :since)
  AND (:until IS NULL OR d.created_at < :until)
  AND (:caller IS NULL OR EXISTS (SELECT 1 FROM finished AS f WHERE f.id = d.request_id AND f.caller = :caller)
    OR EXISTS (SELECT 1 FROM requests AS r WHERE r.id = d.request_id AND r.caller = :caller))
  AND (:apps IS NULL
    OR EXISTS (SELECT 1 FROM finished AS f WHERE f.id = d.request_id AND f.app IN (SELECT value FROM json_each(:apps)))
    OR EXISTS (SELECT 1 FROM requests AS r WHERE r.id = d.request_id AND r.app IN (SELECT value FROM json_each(:apps))))
ORDER BY d.id DESC LIMIT :limit;

-- name: tries
SELECT n, at, duration, status, reason, note, answer FROM delivery_tries WHERE delivery = ? ORDER BY n;

-- name: replay
-- The same delivery id goes out again. The schedule begins anew, the log of tries goes on.
UPDATE deliveries SET state = 'owed', due_at = :now, replayed_at = :now, replayed_tries = tries, done_at = NULL
WHERE id IN (SELECT value FROM json_each(:ids));

-- name: missed
-- In the order in which they were owed; what did not arrive, or all.
SELECT d.id, d.delivery_id, d.request_id, d.target, d.origin, d.event, d.seq, d.payload, d.created_at, d.due_at,
  d.tries, d.replayed_at, d.replayed_tries,
  coalesce((SELECT caller FROM finished AS f WHERE f.id = d.request_id),
    (SELECT caller FROM requests AS r WHERE r.id = d.request_id), ''), d.state
FROM deliveries AS d
WHERE d.id > :after AND (:all OR d.state <> 'done') AND d.origin NOT LIKE 'listen://%'
  AND (:target IS NULL OR d.target = :target)
  AND (:caller IS NULL OR EXISTS (SELECT 1 FROM finished AS f WHERE f.id = d.request_id AND f.caller = :caller)
    OR EXISTS (SELECT 1 FROM requests AS r WHERE r.id = d.request_id AND r.caller = :caller))
  AND (:apps IS NULL
    OR EXISTS (SELECT 1 FROM finished AS f WHERE f.id = d.request_id AND f.app IN (SELECT value FROM json_each(:apps)))
    OR EXISTS (SELECT 1 FROM requests AS r WHERE r.id = d.request_id AND r.app IN (SELECT value FROM json_each(:apps))))
ORDER BY d.id LIMIT :limit;

-- name: put_listener
INSERT INTO webhook_listeners (id, app, caller, owner, created_at, seen_at) VALUES (?, ?, ?, ?, ?, ?);

-- name: listeners_of
SELECT count(*) FROM webhook_listeners WHERE owner = ?;

-- name: listener
SELECT owner FROM webhook_listeners WHERE id = ?;

-- name: see_listener
UPDATE webhook_listeners SET seen_at = ? WHERE id = ?;

-- name: drop_listeners
DELETE FROM webhook_listeners WHERE id = ? OR seen_at < ?;

-- name: drop_unheard
-- A listener that went away takes its deliveries with it: nobody else was promised them.
-- The range is every origin that begins with listen://, along deliveries_origin.
DELETE FROM deliveries WHERE state = 'owed' AND origin >= 'listen://' AND origin < 'listen:/0'
  AND substr(origin, 10) NOT IN (SELECT id FROM webhook_listeners);

-- name: put_key
INSERT INTO webhook_keys (id, kind, target, private, created_at, signs_from, retires_at) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: keys
SELECT id, kind, target, private, created_at, signs_from, retires_at FROM webhook_keys ORDER BY created_at, id;

-- name: retire_keys
UPDATE webhook_keys SET retires_at = ?
WHERE kind = ? AND target = ? AND id <> ? AND (retires_at IS NULL OR retires_at > ?);

-- name: forget_keys
DELETE FROM webhook_keys WHERE retires_at <= ?;
