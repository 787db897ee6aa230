"""The files room: what callers, runners and the sweeper ask for, over one catalog and one store."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import msgspec

from pondage.clock import Clock
from pondage.database.interface import Database
from pondage.errors import BadRequest, NotFound, TooLarge
from pondage.files.blobs import Blob, Blobs, DamagedFile
from pondage.files.catalog import Catalog, Entry, NewFile
from pondage.files.folder import FolderBlobs
from pondage.files.interface import Expected, FileInfo, Grant, Lifecycle, Part, Upload
from pondage.files.lifecycle import Sweeper
from pondage.files.names import clean_name, clean_type, id_of, path_of
from pondage.files.signing import Signer
from pondage.settings import Settings
from pondage.telemetry import log

Referenced = Callable[[Sequence[str]], Awaitable[set[str]]]
"""Which of these files queued and running requests need."""

MAX_PARTS = 10_000
_END_OF_TIME = (float("inf"), "")


class FilesService:
    """See `pondage.files.interface`: this is `Files` and `Uploads`. Made by `open`."""

    def __init__(
        self, settings: Settings, catalog: Catalog, blobs: Blobs, clock: Clock, referenced: Referenced, secret: bytes
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._blobs = blobs
        self._clock = clock
        self._referenced = referenced
        self._signer = Signer(secret)
        self._sweeper = Sweeper(catalog, blobs, clock, referenced, self._adopt)
        self._coming = 0
        """Bytes of uploads under way, which the quota must hold too."""

    @classmethod
    async def open(
        cls, settings: Settings, database: Database, clock: Clock, *, referenced: Referenced
    ) -> FilesService:
        """Open the store that `settings.files` names.

        Raises:
            SetupError: the folder or the bucket cannot be used; the message says why.
        """
        blobs: Blobs
        if "://" in settings.files:
            from pondage.files.objects import ObjectBlobs

            blobs = await ObjectBlobs.open(settings.files)
        else:
            blobs = await FolderBlobs.open(Path(settings.files or Path(settings.data) / "files"))
        catalog = Catalog(database)
        return cls(settings, catalog, blobs, clock, referenced, await catalog.secret())

    async def close(self) -> None:
        await self._blobs.close()

    async def probe(self) -> None:
        """See that the store is there.

        Raises:
            Unavailable: it is not, and why.
        """
        await self._blobs.probe()

    async def sweep(self) -> int:
        """Delete what has expired, what was given up and what crashes left behind; returns how many files it were."""
        return await self._sweeper.once()

    # ---- files

    async def put(
        self,
        data: AsyncIterator[bytes],
        *,
        file_name: str,
        content_type: str,
        size: int | None = None,
        lifecycle: Lifecycle | None = None,
        owner: str = "",
        request_id: str = "",
        expected: Expected | None = None,
    ) -> FileInfo:
        lifecycle = lifecycle or Lifecycle()
        file_name, content_type = clean_name(file_name), clean_type(content_type)
        expected = expected or Expected(size)
        async with self._taken(data, expected) as blob:
            now = self._clock.wall()
            file = NewFile(
                secrets.token_hex(16), file_name, content_type, now, self._expiry(lifecycle.expires_in, now), owner,
                lifecycle.private, request_id,
            )  # fmt: skip
            return await self._show(file, blob)

    async def info(self, path: str) -> FileInfo | None:
        entry = await self._entry(path)
        return entry.info if entry else None

    async def read(self, info: FileInfo, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        entry = await self._catalog.get(info.id)
        if entry is None:
            raise NotFound("the file was deleted")
        async with aclosing(self._read(entry, start, info.size if end is None else min(end, info.size))) as blocks:
            async for block in blocks:
                yield block

    async def _read(self, entry: Entry, start: int, end: int) -> AsyncGenerator[bytes, None]:
        try:
            async for block in self._blobs.read(entry.blob, start, end):
                yield block
        except Exception as error:
            log.error("file %s (%s) cannot be read: %s", entry.info.id, entry.info.file_name, error)
            raise

    async def _entry(self, path: str) -> Entry | None:
        """The file, while it is good: an expired one is good only for the requests that need it."""
        file_id = id_of(path)
        if file_id is None:
            return None
        entry = await self._catalog.get(file_id) or await self._adopt(file_id)
        if entry is None:
            return None
        expires_at = entry.info.expires_at
        if expires_at is not None and expires_at <= self._clock.wall() and not await self._referenced([file_id]):
            return None
        return entry

    async def _adopt(self, file_id: str) -> Entry | None:
        """A file whose bytes came straight to the object store becomes visible when it is first asked for."""
        upload = await self._catalog.upload_of_file(file_id)
        if upload is None or upload.kind != "direct" or upload.done_at is not None:
            return None
        size = await self._blobs.size(upload.key)
        if size is None:
            return None
        if size > self._settings.max_file_bytes:
            await self._blobs.delete(upload.key)
            raise TooLarge(f"the upload has {size} bytes; at most {self._settings.max_file_bytes} are taken")
        # Its sender may write to `upload.key` for a while yet; a file that is visible never changes.
        blob = await self._blobs.adopt(upload.key)
        if blob is not None:
            await self._show(self._file_of(upload), blob, upload=upload.id)
            await self._delete([upload.key])
        return await self._catalog.get(file_id)

    async def page(self, *, before: tuple[float, str] | None, owner: str | None, limit: int) -> list[FileInfo]:
        return await self._catalog.page(before or _END_OF_TIME, owner, limit)

    async def remove(self, info: FileInfo) -> None:
        await self._delete(await self._catalog.drop([info.id], self._clock.wall()))

    # ---- uploads

    async def grant(
        self, *, file_name: str, content_type: str, lifecycle: Lifecycle, owner: str, multipart: bool
    ) -> Grant:
        file_name, content_type = clean_name(file_name), clean_type(content_type)
        await self._room()
        now = self._clock.wall()
        life = self._settings.multipart_ttl if multipart else self._settings.upload_ttl
        upload_id, file_id = secrets.token_hex(16), secrets.token_hex(16)
        key = f"direct-{secrets.token_hex(16)}"
        direct = None if multipart or lifecycle.private else await self._blobs.presign_put(key, life)
        expiry = self._expiry(lifecycle.expires_in, 0.0)
        upload = Upload(
            upload_id, file_id, "multipart" if multipart else "direct" if direct else "single", key if direct else "",
            file_name, content_type, owner, lifecycle.private, expiry, now, now + life,
        )  # fmt: skip
        await self._catalog.grant(upload, self._settings.max_uploads_per_key)
        token = self._signer.sign("upload", upload_id, now + life)
        return Grant(upload_id, path_of(file_id, file_name), token, direct)

    async def check(self, upload_id: str, token: str | None) -> Upload:
        now = self._clock.wall()
        if token is not None:
            self._signer.check("upload", upload_id, token, now)
        upload = await self._catalog.upload(upload_id)
        if upload is None or upload.open_until <= now:
            raise NotFound("there is no such upload; it may have been given up, or its time is over")
        return upload

    async def put_whole(self, upload: Upload, data: AsyncIterator[bytes], expected: Expected) -> FileInfo:
        if upload.kind == "multipart":
            raise BadRequest("this upload takes its bytes in parts: PUT …/1, …/2, then POST …/complete")
        async with self._taken(data, expected) as blob:
            return await self._show(self._file_of(upload), blob, upload=upload.id)

    async def put_part(self, upload: Upload, n: int, data: AsyncIterator[bytes], expected: Expected) -> Part:
        if upload.kind != "multipart" or upload.done_at is not None:
            raise BadRequest("this upload takes no parts (any more)")
        if not 1 <= n <= MAX_PARTS:
            raise BadRequest(f"part {n}: parts are numbered from 1 to {MAX_PARTS}")
        async with self._taken(data, expected) as blob:
            etag = blob.digest[:32]
            try:
                unused = await self._catalog.put_part(upload.id, n, blob, etag, self._clock.wall())
            except BaseException:
                await self._blobs.delete(blob.key)
                raise
        await self._delete(unused)
        return Part(n, etag, blob.size)

    async def parts(self, upload: Upload) -> list[Part]:
        return [part for part, _ in await self._catalog.parts(upload.id)]

    async def complete(self, upload: Upload, parts: list[Part], expected: Expected) -> FileInfo:
        if upload.kind != "multipart":
            raise BadRequest("this upload has no parts")
        if upload.done_at is not None:
            return await self._completed(upload)
        try:
            return await self._complete(upload, parts, expected)
        except (BadRequest, DamagedFile):
            # Of two that complete at once the slower finds the parts gone, perhaps while it reads them.
            now = await self._catalog.upload(upload.id)
            if now is None or now.done_at is None:
                raise
            return await self._completed(upload)

    async def _complete(self, upload: Upload, parts: list[Part], expected: Expected) -> FileInfo:
        here = await self._catalog.parts(upload.id)
        refuse_parts(parts, [part for part, _ in here])
        blobs = [blob for _, blob in here]
        expected = msgspec.structs.replace(expected, size=sum(blob.size for blob in blobs))
        # The parts go in the transaction in which the file comes: it takes their place in the quota.
        parted = sum({blob.key: blob.size for blob in blobs}.values())
        async with self._taken(self._joined(blobs), expected, freed=parted) as blob:
            return await self._show(self._file_of(upload), blob, upload=upload.id)

    async def _completed(self, upload: Upload) -> FileInfo:
        """The file of an upload that is finished: a sender that did not hear the first answer asks again."""
        entry = await self._catalog.get(upload.file_id)
        if entry is None:
            raise NotFound("the file of this upload was deleted")
        return entry.info

    async def _joined(self, blobs: list[Blob]) -> AsyncIterator[bytes]:
        for blob in blobs:
            async with aclosing(self._blobs.read(blob, 0, blob.size)) as blocks:
                async for block in blocks:
                    yield block

    async def abort(self, upload: Upload) -> None:
        if upload.done_at is not None:
            raise BadRequest("this upload is finished, and its file stays; delete that by its own URL, with its key")
        await self._delete(await self._catalog.forget_upload(upload.id, self._clock.wall()))

    # ---- signed words

    def sign(self, purpose: str, subject: str, seconds: float) -> tuple[str, float]:
        until = float(int(self._clock.wall() + seconds))
        return self._signer.sign(purpose, subject, until), until

    def verify(self, purpose: str, subject: str, token: str) -> None:
        self._signer.check(purpose, subject, token, self._clock.wall())

    # ---- within

    def _expiry(self, expires_in: float | None, now: float) -> float | None:
        seconds = self._settings.file_retention if expires_in is None else expires_in
        return now + seconds if seconds > 0 else None

    def _file_of(self, upload: Upload) -> NewFile:
        now = self._clock.wall()
        expires_at = None if upload.expires_in is None else now + upload.expires_in
        return NewFile(
            upload.file_id, upload.file_name, upload.content_type, now, expires_at, upload.owner, upload.private
        )

    async def _show(self, file: NewFile, blob: Blob, *, upload: str = "") -> FileInfo:
        """Make whole bytes visible as a file."""
        try:
            kept = await self._catalog.add(file, blob, upload=upload)
        except Exception:
            await self._blobs.delete(blob.key)
            raise
        await self._delete(kept.unused)
        return kept.info

    @asynccontextmanager
    async def _taken(self, data: AsyncIterator[bytes], expected: Expected, *, freed: int = 0) -> AsyncIterator[Blob]:
        """Bring bytes into the store and compare them with what was said of them. Until the block ends, in which they
        get a row and count as used, the quota holds their place. `freed`: bytes that go when they come."""
        most = await self._room(freed)
        held = expected.size or 0
        if held > most:
            raise TooLarge(
                f"the file has {held} bytes; at most {most} are taken (settings max_file_bytes, files_quota)"
            )
        self._coming += held

        async def counted() -> AsyncIterator[bytes]:
            nonlocal held
            size = 0
            async for chunk in data:
                size += len(chunk)
                if size > most:
                    raise TooLarge(
                        f"more than {most} bytes came; no more are taken (settings max_file_bytes, files_quota)"
                    )
                if size > held:
                    self._coming += size - held
                    held = size
                yield chunk

        try:
            blob = await self._blobs.write(counted(), sha256=bool(expected.sha256), md5=bool(expected.md5))
            try:
                if problem := _differs(blob, expected):
                    raise BadRequest(f"{problem}; nothing was stored")
                if expected.size is None and held > 0:
                    await self._room(freed, above=-1)  # others may have filled it meanwhile
            except BaseException:
                await self._blobs.delete(blob.key)
                raise
            yield blob
        finally:
            self._coming -= held

    async def _room(self, freed: int = 0, *, above: int = 0) -> int:
        """Bytes that one more file may have, if `freed` bytes go when it comes.

        Raises:
            TooLarge: the quota is used up: no more than `above` bytes are left.
        """
        if not self._settings.files_quota:
            return self._settings.max_file_bytes
        # Bytes that are shown meanwhile are counted twice rather than not at all.
        coming = self._coming
        used = await self._catalog.used()
        left = self._settings.files_quota - used - max(coming, self._coming) + freed
        if left <= above:
            raise TooLarge(f"the quota of {self._settings.files_quota} bytes for all files is used up; delete some")
        return min(self._settings.max_file_bytes, left)

    async def _delete(self, keys: list[str]) -> None:
        """Delete bytes that nobody refers to; what fails here is left to the sweeper."""
        for key in keys:
            try:
                await self._blobs.delete(key)
                await self._catalog.forget_blob(key)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                log.warning("the bytes of %s could not be deleted yet: %s", key, error)


def refuse_parts(listed: list[Part], here: list[Part]) -> None:
    """Compare the parts that a sender lists with those that are here.

    Raises:
        BadRequest: naming what is missing, unknown, listed twice or different, or no number of a part.
    """
    if not listed:
        raise BadRequest("no parts are listed: send {'parts': [{'partNumber': 1, 'etag': '…'}, …]}")
    numbers = {part.n for part in listed}
    if wrong := [n for n in numbers if not 1 <= n <= MAX_PARTS]:
        raise BadRequest(f"part {wrong[0]}: parts are numbered from 1 to {MAX_PARTS}")
    if len(numbers) != len(listed):
        raise BadRequest("a part is listed twice")
    known = {part.n: part.etag for part in here}
    if missing := [n for n in range(1, max(numbers) + 1) if n not in known or n not in numbers]:
        raise BadRequest(f"parts are missing: {', '.join(map(str, missing[:20]))}; upload them and complete again")
    if unlisted := sorted(known.keys() - numbers):
        raise BadRequest(f"parts were uploaded but are not listed: {', '.join(map(str, unlisted[:20]))}")
    for part in listed:
        if part.etag.strip('"') != known[part.n]:
            raise BadRequest(f"part {part.n} is not the one that is here: its etag is {known[part.n]}")


def _differs(blob: Blob, expected: Expected) -> str:
    if expected.size is not None and blob.size != expected.size:
        return f"{blob.size} bytes came, {expected.size} were announced"
    if expected.sha256 and blob.sha256 != expected.sha256.lower():
        return f"the SHA-256 of the bytes is {blob.sha256}, announced was {expected.sha256.lower()}"
    if expected.md5 and blob.md5 != expected.md5.lower():
        return f"the MD5 of the bytes is {blob.md5}, announced was {expected.md5.lower()}"
    return ""
