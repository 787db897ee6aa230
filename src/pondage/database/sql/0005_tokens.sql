-- Requests that came with a short-lived token, and the files that their inputs name: a token sees no others.

CREATE TABLE token_requests (
  seq INTEGER PRIMARY KEY,
  caller TEXT NOT NULL,             -- the key that the token stands on
  subject TEXT NOT NULL             -- whom the token was for; empty: nobody in particular
);
CREATE INDEX token_requests_subject ON token_requests (caller, subject, seq);

CREATE TABLE token_files (
  file_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY (file_id, seq)
) WITHOUT ROWID;
CREATE INDEX token_files_by_request ON token_files (seq);

-- Both go with their request.
CREATE TRIGGER token_requests_go AFTER DELETE ON finished BEGIN
  DELETE FROM token_requests WHERE seq = OLD.seq;
  DELETE FROM token_files WHERE seq = OLD.seq;
END;

-- Whose a listener is, also where it hears of everybody's requests.
ALTER TABLE webhook_listeners ADD COLUMN owner TEXT NOT NULL DEFAULT '';
