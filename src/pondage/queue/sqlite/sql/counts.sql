-- Facts that transactions leave, and the tables into which they are folded.

-- name: put_facts
INSERT INTO facts (facts) VALUES (?);

-- name: facts
SELECT n, facts FROM facts ORDER BY n LIMIT ?;

-- name: forget_facts
DELETE FROM facts WHERE n <= ?;

-- name: minute
SELECT rollup FROM rollup_minutes WHERE app = ? AND at = ?;

-- name: put_minute
INSERT INTO rollup_minutes (app, at, rollup) VALUES (?, ?, ?)
ON CONFLICT (at, app) DO UPDATE SET rollup = excluded.rollup;

-- name: minutes
SELECT app, at, rollup FROM rollup_minutes WHERE at >= :since AND at < :until AND (:app IS NULL OR app = :app)
ORDER BY at, app;

-- name: forget_minutes
DELETE FROM rollup_minutes WHERE at < ?;

-- name: hour
SELECT rollup FROM rollup_hours WHERE app = ? AND at = ?;

-- name: put_hour
INSERT INTO rollup_hours (app, at, rollup) VALUES (?, ?, ?)
ON CONFLICT (at, app) DO UPDATE SET rollup = excluded.rollup;

-- name: hours
SELECT app, at, rollup FROM rollup_hours WHERE at >= :since AND at < :until AND (:app IS NULL OR app = :app)
ORDER BY at, app;

-- name: forget_hours
DELETE FROM rollup_hours WHERE at < ?;

-- name: day
SELECT usage FROM usage WHERE caller = ? AND app = ? AND day = ?;

-- name: put_day
INSERT INTO usage (caller, app, day, usage) VALUES (?, ?, ?, ?)
ON CONFLICT (day, caller, app) DO UPDATE SET usage = excluded.usage;

-- name: days
SELECT caller, app, day, usage FROM usage WHERE day >= :since AND day < :until AND (:caller IS NULL OR caller = :caller)
ORDER BY day, caller, app;

-- name: forget_days
DELETE FROM usage WHERE day < ?;

-- name: error_hour
SELECT errors FROM error_hours WHERE app = ? AND error_type = ? AND message = ? AND hour = ?;

-- name: put_error_hour
INSERT INTO error_hours (app, error_type, message, hour, errors) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (hour, app, error_type, message) DO UPDATE SET errors = excluded.errors;

-- name: error_hours
SELECT app, error_type, message, hour, errors FROM error_hours
WHERE hour >= :since AND hour < :until AND (:app IS NULL OR app = :app);

-- name: kinds_of_an_hour
SELECT count(*) FROM error_hours WHERE hour = ? AND app = ?;

-- name: forget_error_hours
DELETE FROM error_hours WHERE hour < ?;

-- name: total
SELECT rollup FROM rollup_totals WHERE app = ?;

-- name: totals
SELECT app, rollup FROM rollup_totals;

-- name: put_total
INSERT INTO rollup_totals (app, rollup) VALUES (?, ?) ON CONFLICT (app) DO UPDATE SET rollup = excluded.rollup;
