-- name: live_blob
-- Bytes that are here already and stay.
SELECT key FROM blobs WHERE digest = ? AND doomed_at IS NULL AND digest <> '' LIMIT 1

-- name: learn_sha256
UPDATE blobs SET sha256 = ? WHERE key = ? AND sha256 = ''

-- name: add_blob
INSERT INTO blobs (key, digest, sha256, size, sums, created_at) VALUES (?, ?, ?, ?, ?, ?)

-- name: add_file
INSERT INTO files (id, blob, file_name, content_type, size, created_at, expires_at, owner, private, request_id)
VALUES (:id, :blob, :file_name, :content_type, :size, :created_at, :expires_at, :owner, :private, :request_id)

-- name: get_file
SELECT f.id, f.file_name, f.content_type, f.size, b.sha256, f.created_at, f.expires_at, f.owner, f.private,
  b.key, b.sums, b.digest, f.request_id
FROM files f JOIN blobs b ON b.key = f.blob WHERE f.id = ?

-- name: list_files
SELECT f.id, f.file_name, f.content_type, f.size, b.sha256, f.created_at, f.expires_at, f.owner, f.private,
  b.key, x'', b.digest, f.request_id
FROM files f JOIN blobs b ON b.key = f.blob
WHERE (f.created_at, f.id) < (?, ?) AND (? IS NULL OR f.owner = ?)
ORDER BY f.created_at DESC, f.id DESC LIMIT ?

-- name: drop_file
DELETE FROM files WHERE id = ? RETURNING blob

-- name: expired_files
SELECT id, expires_at FROM files WHERE expires_at IS NOT NULL AND expires_at <= ? AND (expires_at, id) > (?, ?)
ORDER BY expires_at, id LIMIT ?

-- name: doom_blob
-- Only if nobody refers to it; from here on no new file can come to refer to it.
UPDATE blobs SET doomed_at = :now WHERE key = :key AND doomed_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM files WHERE blob = :key)
  AND NOT EXISTS (SELECT 1 FROM upload_parts WHERE blob = :key)
RETURNING key

-- name: doomed_blobs
SELECT key FROM blobs WHERE doomed_at IS NOT NULL LIMIT ?

-- name: drop_blob
DELETE FROM blobs WHERE key = ? AND doomed_at IS NOT NULL

-- name: known_key
SELECT 1 FROM blobs WHERE key = :key UNION ALL SELECT 1 FROM uploads WHERE key = :key AND done_at IS NULL LIMIT 1

-- name: used
SELECT bytes FROM files_used

-- name: secret
SELECT secret FROM files_secret

-- name: add_upload
INSERT INTO uploads (id, file_id, kind, key, file_name, content_type, owner, private, expires_in, created_at, open_until)
VALUES (:id, :file_id, :kind, :key, :file_name, :content_type, :owner, :private, :expires_in, :created_at, :open_until)

-- name: open_uploads
SELECT count(*) FROM (SELECT 1 FROM uploads WHERE owner = ? AND open_until > ? AND done_at IS NULL LIMIT ?);

-- name: get_upload
SELECT id, file_id, kind, key, file_name, content_type, owner, private, expires_in, created_at, open_until, done_at
FROM uploads WHERE id = ?

-- name: upload_of_file
SELECT id, file_id, kind, key, file_name, content_type, owner, private, expires_in, created_at, open_until, done_at
FROM uploads WHERE file_id = ?

-- name: finish_upload
-- Only once: of two that finish the same upload, the first wins.
UPDATE uploads SET done_at = ? WHERE id = ? AND done_at IS NULL RETURNING id

-- name: drop_upload
DELETE FROM uploads WHERE id = ?

-- name: stale_uploads
SELECT id, file_id FROM uploads WHERE open_until <= ? LIMIT ?

-- name: get_part
SELECT blob FROM upload_parts WHERE upload = ? AND n = ?

-- name: put_part
INSERT INTO upload_parts (upload, n, blob, size, etag) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (upload, n) DO UPDATE SET blob = excluded.blob, size = excluded.size, etag = excluded.etag

-- name: list_parts
SELECT p.n, p.size, p.etag, b.key, b.digest, b.sums
FROM upload_parts p JOIN blobs b ON b.key = p.blob WHERE p.upload = ? ORDER BY p.n

-- name: drop_parts
DELETE FROM upload_parts WHERE upload = ? RETURNING blob
