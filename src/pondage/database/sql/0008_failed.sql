-- Requests that did not end well, newest first: a page of them must not walk along a million that did.
CREATE INDEX finished_failed ON finished (kind, seq) WHERE kind <> 'ok';
