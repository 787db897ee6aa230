-- What happened to an app's requests since there are counts: what `/metrics` counts up, which nothing ever takes back.

CREATE TABLE rollup_totals (
  app TEXT PRIMARY KEY,
  rollup BLOB NOT NULL              -- msgpack of Rollup
) WITHOUT ROWID;
