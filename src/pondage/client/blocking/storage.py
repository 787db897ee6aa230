# Generated from pondage/client/aio/storage.py by scripts/generate_sync_client.py: change that.
"""Uploads: a file goes up, its URL comes back."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from pondage.client import core, limits, uploads
from pondage.client.blocking import flow
from pondage.client.blocking.exchange import Exchange
from pondage.client.core import Call
from pondage.client.errors import (
    ClientError,
    ConnectionError,
    OutputMismatch,
    ServerError,
    TimeoutError,
    TooMany,
    UploadInterrupted,
)
from pondage.client.inputs import LocalFile
from pondage.client.uploads import CdnToken, Source, StorageSettings, Upload, UploadRepositoryId, UploadSession

OnProgress = Callable[[int, int], Any]
"""Called with the bytes that were sent and the bytes in all; the first may go back when something is sent again."""


class SyncStorage:
    """`client.storage`: uploads to the server's file storage, or to fal's."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._token: CdnToken | None = None

    def upload(
        self,
        data: str | bytes,
        content_type: str | None = None,
        file_name: str | None = None,
        *,
        repository: UploadRepositoryId | None = None,
        fallback_repository: UploadRepositoryId | list[UploadRepositoryId] | None = None,
        lifecycle: StorageSettings | None = None,
        on_progress: OnProgress | None = None,
    ) -> str:
        """Upload bytes or text.

        Args:
            data: the bytes.
            content_type: their media type; without it, their beginning and `file_name` are looked at.
            file_name: the name that a download has.
            repository, fallback_repository: where to try on fal's cloud, `fal_v3` first and `fal` next; a Pondage
                server has one storage.
            lifecycle: how long it is kept, and who may see it.
            on_progress: called with the bytes sent and the bytes in all.

        Returns:
            The file's URL.

        Raises:
            HTTPError: it was refused, for example because it is too large.
            UploadInterrupted: a big upload stopped halfway.
        """
        repositories = uploads.repositories(repository, fallback_repository)
        upload = uploads.upload_of_data(data, content_type, file_name, lifecycle)
        return self._store(upload, repositories, on_progress, None)

    def upload_file(
        self,
        path: os.PathLike[str],
        *,
        repository: UploadRepositoryId | None = None,
        fallback_repository: UploadRepositoryId | list[UploadRepositoryId] | None = None,
        lifecycle: StorageSettings | None = None,
        on_progress: OnProgress | None = None,
        resume: UploadSession | str | None = None,
        on_session: Callable[[UploadSession], Any] | None = None,
    ) -> str:
        """Upload a file; a big one in parts, several at once.

        Args:
            path: the file.
            repository, fallback_repository, lifecycle, on_progress: as with `upload`.
            resume: the `session` of an `UploadInterrupted`, or its `token`: only what is missing is sent.
            on_session: called when a big upload has begun; keep the session's `token` to take it up after a crash.

        Returns:
            The file's URL.

        Raises:
            UploadInterrupted: a big upload stopped halfway; its `session` takes it up again.
        """
        repositories = uploads.repositories(repository, fallback_repository)
        session = UploadSession.from_token(resume) if isinstance(resume, str) else resume
        upload = flow.off_loop(uploads.upload_of_file, path, lifecycle)
        return self._store(upload, repositories, on_progress, session, on_session)

    def upload_image(
        self,
        image: Any,
        format: str = "jpeg",
        *,
        repository: UploadRepositoryId | None = None,
        fallback_repository: UploadRepositoryId | list[UploadRepositoryId] | None = None,
        lifecycle: StorageSettings | None = None,
        on_progress: OnProgress | None = None,
    ) -> str:
        """Upload a PIL image in the format (`jpeg`, `png`, …); otherwise as `upload`."""
        repositories = uploads.repositories(repository, fallback_repository)
        upload = flow.off_loop(uploads.upload_of_image, image, format, lifecycle)
        return self._store(upload, repositories, on_progress, None)

    def upload_all(self, files: Sequence[LocalFile]) -> list[str]:
        """Upload the files of an input, several at once; their URLs in the same order."""
        return flow.gather([partial(self._store_local, file) for file in files], limits.PART_CONCURRENCY)

    def _store_local(self, file: LocalFile) -> str:
        source = flow.off_loop(Source, file.source)
        upload = Upload(source, file.content_type, file.file_name, None)
        return self._store(upload, uploads.repositories(None, None), None, None)

    def _store(
        self,
        upload: Upload,
        repositories: list[str],
        on_progress: OnProgress | None,
        session: UploadSession | None,
        on_session: Callable[[UploadSession], Any] | None = None,
    ) -> str:
        big = session is not None or upload.source.size > limits.MULTIPART_THRESHOLD
        tell = _Tell(on_progress, upload.source.size)
        target = self._exchange.target
        if big:
            return self._store_parts(upload, session, tell, on_session)
        if not target.cloud:
            digest = flow.off_loop(upload.source.sha256)
            call = uploads.whole_call(target.cdn, self._exchange.base, upload, _body(upload.source, tell), digest)
            return uploads.read_access_url(self._send(call))
        for name in repositories[:-1]:
            try:
                return self._store_cloud(name, upload, tell)
            except ClientError:
                continue
        return self._store_cloud(repositories[-1], upload, tell)

    def _store_cloud(self, repository: str, upload: Upload, tell: _Tell) -> str:
        """A small file to fal's CDN, or by the way that remains when that fails (PROTOCOL 7.1)."""
        target, body = self._exchange.target, _body(upload.source, tell)
        if repository == "fal_v3":
            auth = self._cdn_auth()
            call = uploads.whole_call(target.cdn, auth, upload, body, None)
            return uploads.read_access_url(self._send(call._replace(repeat=core.Repeat.UNSENT)))
        answer = self._send(uploads.initiate_call(target, self._exchange.base, upload))
        core.raise_for_status(answer)
        initiated = msgspec.json.decode(answer.body, type=uploads.Initiated)
        headers = {"content-type": upload.content_type, "content-length": str(upload.source.size)}
        core.raise_for_status(self._send(Call("PUT", initiated.upload_url, headers, body, as_given=True)))
        return initiated.file_url

    def _store_parts(
        self,
        upload: Upload,
        session: UploadSession | None,
        tell: _Tell,
        on_session: Callable[[UploadSession], Any] | None,
    ) -> str:
        """A big file: begin, send what is missing, several parts at once, complete."""
        target = self._exchange.target
        begun = session is not None
        if session is None:
            base_url, auth = target.cdn, self._auth()
            if target.cloud and self._token is not None:
                base_url = self._token.base_url
            answer = self._send(uploads.begin_parts_call(base_url, auth, upload))
            session = uploads.read_session(answer, upload.source.size)
        if session.size != upload.source.size:
            raise ValueError(f"the upload to resume is of {session.size} bytes, this is of {upload.source.size}")
        url = uploads.session_url(target, session)
        if not begun:
            flow.call(on_session, session)
        elif not target.cloud:
            session.parts = uploads.read_parts(self._send(uploads.list_parts_call(url, self._auth(), session)))
        missing = session.missing()
        tell.sent(session.size - sum(session.span(number)[1] for number in missing))
        try:
            jobs = [partial(self._store_part, upload, session, url, number, tell) for number in missing]
            flow.gather(jobs, limits.PART_CONCURRENCY)
            complete = uploads.complete_call(url, self._auth(), session)
            core.raise_for_status(self._send(complete))
        except (ConnectionError, TimeoutError, ServerError, TooMany) as error:
            raise UploadInterrupted(f"the upload stopped with {len(session.missing())} parts to go", session) from error
        return session.access_url

    def _store_part(self, upload: Upload, session: UploadSession, url: str, number: int, tell: _Tell) -> None:
        offset, size = session.span(number)
        data = flow.off_loop(upload.source.read, offset, size)
        if len(data) != size:
            raise ValueError(f"the file changed while it was uploaded: {len(data)} of {size} bytes at {offset}")
        call = flow.off_loop(uploads.part_call, url, self._auth(), session, number, data, upload.content_type)
        session.parts[number] = uploads.read_part(self._send(call))
        tell.sent(size)

    def _send(self, call: Call) -> core.Answer:
        return self._exchange.send(call, timeout=limits.UPLOAD_TIMEOUT)

    def _auth(self) -> dict[str, str]:
        return self._cdn_auth() if self._exchange.target.cloud else self._exchange.base

    def _cdn_auth(self) -> dict[str, str]:
        """Headers with a token of fal's CDN, a fresh one where the last is about to expire."""
        token = self._token
        left = 0.0 if token is None else datetime.fromisoformat(token.expires_at).timestamp()
        if token is None or left - self._exchange.clock.wall() < limits.CDN_TOKEN_MARGIN:
            call = uploads.cdn_token_call(self._exchange.target, self._exchange.base)
            answer = self._exchange.send(call, timeout=self._exchange.default_timeout)
            core.raise_for_status(answer)
            try:
                token = self._token = msgspec.json.decode(answer.body, type=CdnToken)
            except msgspec.DecodeError as error:
                raise OutputMismatch(f"the answer to the token call is not understood: {error}") from error
        return self._exchange.base | {"authorization": token.authorization}


class _Tell:
    """Counts what was sent, and tells."""

    def __init__(self, on_progress: OnProgress | None, total: int) -> None:
        self.on_progress = on_progress
        self._total = total
        self._sent = 0
        self._lock = threading.Lock()

    def sent(self, size: int) -> None:
        with self._lock:
            self._sent += size
        flow.call(self.on_progress, self._sent, self._total)

    def again(self) -> None:
        self._sent = 0


def _body(source: Source, tell: _Tell) -> Any:
    """What to send of a small file: its bytes, or piece by piece."""
    if source.in_memory is not None and tell.on_progress is None:
        return source.in_memory
    return partial(_pieces, source, tell)


def _pieces(source: Source, tell: _Tell) -> Iterator[bytes]:
    """The bytes of a file as one body, from the start."""
    tell.again()
    for offset in range(0, source.size, limits.UPLOAD_PIECE):
        data = flow.off_loop(source.read, offset, min(limits.UPLOAD_PIECE, source.size - offset))
        yield data
        tell.sent(len(data))
