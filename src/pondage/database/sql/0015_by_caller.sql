-- What waits and runs of one key, newest first: its page must not walk along a million of others.
CREATE INDEX requests_caller ON requests (caller, seq) WHERE caller <> '';
