-- Seats, the read mark of outputs that are not to be kept, and ranks in thousandths of a request.

-- One life of one gateway on this database; an id is never used again. On one file a seat ends when the next begins.
CREATE TABLE seats (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  began_at REAL NOT NULL,
  ended_at REAL
);

-- The seat whose runner has the request; 0 while it waits, and for what ran before there were seats.
ALTER TABLE requests ADD COLUMN holder INTEGER NOT NULL DEFAULT 0;

-- When the outcome of a request with keep_io = 0 was first read; the sweep drops its payloads after that.
ALTER TABLE finished ADD COLUMN read_at REAL;

-- A request was one step of its caller's flow; it is a thousand now, so that dear and cheap requests can differ later.
UPDATE requests SET rank = (rank & ~281474976710655) | ((rank & 281474976710655) * 1000);
