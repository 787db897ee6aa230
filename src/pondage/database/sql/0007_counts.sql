-- What is counted of requests. A transaction leaves one row of facts; they are folded into the tables behind it.

CREATE TABLE facts (
  n INTEGER PRIMARY KEY,            -- rises while rows are there: what was read is what is deleted
  facts BLOB NOT NULL               -- msgpack of list[Fact]
);

CREATE TABLE rollup_minutes (
  app TEXT NOT NULL,
  at INTEGER NOT NULL,              -- wall seconds at which the minute begins
  rollup BLOB NOT NULL,             -- msgpack of Rollup
  PRIMARY KEY (at, app)
) WITHOUT ROWID;

CREATE TABLE rollup_hours (
  app TEXT NOT NULL,
  at INTEGER NOT NULL,
  rollup BLOB NOT NULL,
  PRIMARY KEY (at, app)
) WITHOUT ROWID;

CREATE TABLE usage (
  caller TEXT NOT NULL,
  app TEXT NOT NULL,
  day INTEGER NOT NULL,             -- wall seconds at which the day begins, UTC
  usage BLOB NOT NULL,              -- msgpack of Usage
  PRIMARY KEY (day, caller, app)
) WITHOUT ROWID;

CREATE TABLE error_hours (
  app TEXT NOT NULL,
  error_type TEXT NOT NULL,
  message TEXT NOT NULL,            -- without what differs from request to request
  hour INTEGER NOT NULL,
  errors BLOB NOT NULL,             -- msgpack of Errors
  PRIMARY KEY (hour, app, error_type, message)
) WITHOUT ROWID;
