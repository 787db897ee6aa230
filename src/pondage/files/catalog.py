"""The tables of files, uploads and the bytes they refer to. Every method is one transaction.

Bytes are shared: a file refers to a blob, and so does an uploaded part. When the last reference goes, the blob is
doomed in the same transaction, and what is doomed is never referred to again; only then are its bytes deleted.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pondage.database.interface import Cursor, Database
from pondage.database.named import load
from pondage.errors import BadRequest, NotFound, TooMany
from pondage.files.blobs import Blob
from pondage.files.interface import FileInfo, Part, Upload
from pondage.files.names import path_of

SQL = load("pondage.files", "sql/catalog.sql")


class Entry(msgspec.Struct, frozen=True):
    """A file and where its bytes lie."""

    info: FileInfo
    blob: Blob


class NewFile(msgspec.Struct, frozen=True):
    """What is said about a file before its bytes are known."""

    id: str
    file_name: str
    content_type: str
    created_at: float
    expires_at: float | None
    owner: str
    private: bool
    request_id: str = ""


class AddedFile(msgspec.Struct, frozen=True):
    """What became of new bytes: the file as it stands, and keys whose bytes are of no use any more."""

    info: FileInfo
    unused: list[str]


class Catalog:
    """The tables, over the database that all rooms share."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ---- files

    async def add(self, file: NewFile, blob: Blob, *, upload: str = "") -> AddedFile:
        """Make a file visible. `upload` is finished in the same transaction.

        Raises:
            BadRequest: the upload was finished before, with other bytes.
        """

        def operation(cursor: Cursor) -> AddedFile:
            if upload and not list(cursor.execute(SQL["finish_upload"], (file.created_at, upload))):
                before = _entry(cursor, file.id)
                if before is not None and before.info.digest == blob.digest:
                    return AddedFile(before.info, [blob.key])
                raise BadRequest("this upload is finished, with other bytes; ask for a new one")
            unused = _doom(cursor, [row[0] for row in cursor.execute(SQL["drop_parts"], (upload,))], file.created_at)
            key, spare = _keep(cursor, blob, file.created_at)
            fields = msgspec.structs.asdict(file)
            cursor.execute(SQL["add_file"], {**fields, "private": int(file.private), "blob": key, "size": blob.size})
            info = FileInfo(
                file.id, path_of(file.id, file.file_name), file.file_name, file.content_type, blob.size, blob.sha256,
                file.created_at, file.expires_at, file.owner, file.private, blob.digest, file.request_id,
            )  # fmt: skip
            return AddedFile(info, unused + spare)

        return await self._database.write(operation)

    async def get(self, file_id: str) -> Entry | None:
        return await self._database.read(lambda cursor: _entry(cursor, file_id))

    async def page(self, before: tuple[float, str], owner: str | None, limit: int) -> list[FileInfo]:
        """Files in the order of making, newest first, before `(created_at, id)`."""

        def operation(cursor: Cursor) -> list[FileInfo]:
            rows = cursor.execute(SQL["list_files"], (*before, owner, owner, limit))
            return [_entry_of(row).info for row in rows]

        return await self._database.read(operation)

    async def expired(self, now: float, after: tuple[float, str], limit: int) -> list[tuple[float, str]]:
        """Files whose time has come, as `(expires_at, id)`, in order."""

        def operation(cursor: Cursor) -> list[tuple[float, str]]:
            return [(row[1], row[0]) for row in cursor.execute(SQL["expired_files"], (now, *after, limit))]

        return await self._database.read(operation)

    async def drop(self, ids: list[str], now: float) -> list[str]:
        """Forget files; returns the keys whose bytes nobody needs now."""

        def operation(cursor: Cursor) -> list[str]:
            blobs = [row[0] for file_id in ids for row in cursor.execute(SQL["drop_file"], (file_id,))]
            return _doom(cursor, blobs, now)

        return await self._database.write(operation)

    # ---- uploads

    async def grant(self, upload: Upload, most: int) -> None:
        """Note an upload that may come.

        Raises:
            TooMany: its owner has `most` open ones already.
        """
        row = {**msgspec.structs.asdict(upload), "private": int(upload.private)}

        def operation(cursor: Cursor) -> None:
            if upload.owner and _one(cursor, "open_uploads", (upload.owner, upload.created_at, most)) >= most:
                raise TooMany(f"this key has {most} upload URLs that were not used yet (setting max_uploads_per_key)")
            cursor.execute(SQL["add_upload"], row)

        await self._database.write(operation)

    async def upload(self, upload_id: str) -> Upload | None:
        return await self._database.read(lambda cursor: _upload(cursor, "get_upload", upload_id))

    async def upload_of_file(self, file_id: str) -> Upload | None:
        return await self._database.read(lambda cursor: _upload(cursor, "upload_of_file", file_id))

    async def put_part(self, upload_id: str, n: int, blob: Blob, etag: str, now: float) -> list[str]:
        """Note a part; one that was there before is replaced. Returns keys whose bytes are of no use any more.

        Raises:
            NotFound: the upload was finished or given up meanwhile.
        """

        def operation(cursor: Cursor) -> list[str]:
            upload = _upload(cursor, "get_upload", upload_id)
            if upload is None or upload.done_at is not None:
                raise NotFound("this upload is finished or was given up")
            old = [row[0] for row in cursor.execute(SQL["get_part"], (upload_id, n))]
            key, spare = _keep(cursor, blob, now)
            cursor.execute(SQL["put_part"], (upload_id, n, key, blob.size, etag))
            return spare + _doom(cursor, old, now)

        return await self._database.write(operation)

    async def parts(self, upload_id: str) -> list[tuple[Part, Blob]]:
        def operation(cursor: Cursor) -> list[tuple[Part, Blob]]:
            return [
                (Part(n, etag, size), Blob(key, size, digest, sums))
                for n, size, etag, key, digest, sums in cursor.execute(SQL["list_parts"], (upload_id,))
            ]

        return await self._database.read(operation)

    async def forget_upload(self, upload_id: str, now: float) -> list[str]:
        """Drop an upload and its parts; returns the keys whose bytes nobody needs now."""

        def operation(cursor: Cursor) -> list[str]:
            upload = _upload(cursor, "get_upload", upload_id)
            cursor.execute(SQL["drop_upload"], (upload_id,))
            unused = _doom(cursor, [row[0] for row in cursor.execute(SQL["drop_parts"], (upload_id,))], now)
            if upload is not None and upload.kind == "direct" and upload.done_at is None:
                unused.append(upload.key)
            return unused

        return await self._database.write(operation)

    async def stale_uploads(self, now: float, limit: int) -> list[tuple[str, str]]:
        """Uploads whose time is over, finished or not, as `(id, file_id)`."""

        def operation(cursor: Cursor) -> list[tuple[str, str]]:
            return [(row[0], row[1]) for row in cursor.execute(SQL["stale_uploads"], (now, limit))]

        return await self._database.read(operation)

    # ---- bytes

    async def doomed(self, limit: int) -> list[str]:
        """Keys whose bytes are still to be deleted."""

        def operation(cursor: Cursor) -> list[str]:
            return [row[0] for row in cursor.execute(SQL["doomed_blobs"], (limit,))]

        return await self._database.read(operation)

    async def forget_blob(self, key: str) -> None:
        """The bytes of a doomed blob are deleted."""
        await self._database.write(lambda cursor: cursor.execute(SQL["drop_blob"], (key,)))

    async def unknown(self, keys: list[str]) -> list[str]:
        """Those of `keys` that no row tells of."""

        def operation(cursor: Cursor) -> list[str]:
            return [key for key in keys if not list(cursor.execute(SQL["known_key"], {"key": key}))]

        return await self._database.read(operation)

    async def used(self) -> int:
        """Bytes in the store."""
        return await self._database.read(lambda cursor: int(_one(cursor, "used")))

    async def secret(self) -> bytes:
        """The key that signs URLs and tokens."""
        return await self._database.read(lambda cursor: bytes(_one(cursor, "secret")))


def _one(cursor: Cursor, name: str, values: tuple[Any, ...] = ()) -> Any:
    (row,) = cursor.execute(SQL[name], values)
    return row[0]


def _entry(cursor: Cursor, file_id: str) -> Entry | None:
    for row in cursor.execute(SQL["get_file"], (file_id,)):
        return _entry_of(row)
    return None


def _entry_of(row: tuple[Any, ...]) -> Entry:
    (
        file_id,
        file_name,
        content_type,
        size,
        sha256,
        created_at,
        expires_at,
        owner,
        private,
        key,
        sums,
        digest,
        request_id,
    ) = row
    info = FileInfo(
        file_id, path_of(file_id, file_name), file_name, content_type, size, sha256, created_at, expires_at, owner,
        bool(private), digest, request_id,
    )  # fmt: skip
    return Entry(info, Blob(key, size, digest, sums))


def _upload(cursor: Cursor, name: str, key: str) -> Upload | None:
    for row in cursor.execute(SQL[name], (key,)):
        upload: Upload = msgspec.convert(dict(zip(Upload.__struct_fields__, row, strict=True)), Upload, strict=False)
        return upload
    return None


def _keep(cursor: Cursor, blob: Blob, now: float) -> tuple[str, list[str]]:
    """The key under which new bytes stay, and the new key if the bytes were here already."""
    for (key,) in cursor.execute(SQL["live_blob"], (blob.digest,)):
        if blob.sha256:
            cursor.execute(SQL["learn_sha256"], (blob.sha256, key))
        return key, [blob.key]
    cursor.execute(SQL["add_blob"], (blob.key, blob.digest, blob.sha256, blob.size, blob.sums, now))
    return blob.key, []


def _doom(cursor: Cursor, keys: list[str], now: float) -> list[str]:
    """Doom those of `keys` that nobody refers to, and return them."""
    return [row[0] for key in dict.fromkeys(keys) for row in cursor.execute(SQL["doom_blob"], {"key": key, "now": now})]
