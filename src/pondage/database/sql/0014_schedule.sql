-- Requests that are not to start before a time, and payloads that are not to be kept beyond one.

-- State 3: scheduled. It waits for its time, not in a line; its rank is given when the time has come.
ALTER TABLE requests ADD COLUMN start_at REAL;
ALTER TABLE requests ADD COLUMN payload_ttl REAL;
CREATE INDEX requests_start_at ON requests (start_at) WHERE state = 3;

ALTER TABLE finished ADD COLUMN forget_at REAL;
CREATE INDEX finished_forget ON finished (forget_at) WHERE forget_at IS NOT NULL AND keep_io <> -1;
