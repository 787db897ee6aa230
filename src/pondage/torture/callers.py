"""The callers: they use the real client, write down what was acknowledged before they act on it, and what they saw."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from pondage.client import AsyncClient, AsyncRequestHandle
from pondage.client import errors as client_errors
from pondage.files.blobs import Sums
from pondage.torture.app import backwards, proof
from pondage.torture.journals import SyncedJournal
from pondage.torture.schedule import Planned
from pondage.torture.uploads import Uploads
from pondage.torture.words import APP

T = TypeVar("T")

RACERS = 50
_READERS = 64
"""Outcomes that are read at once at the end."""
_ATTEMPTS = 3
"""Tries of the client itself: its waits double, and after a kill nobody should stay away for much longer than the
server does."""
_PAUSE = 0.1
_LATER = frozenset({408, 429, 502, 503, 507})
"""Statuses that are no outcome: the server could not do it just now."""


class Callers:
    """All callers of a run.

    Args:
        url: the gateway's origin.
        hook: where webhooks go.
        journal: what they write down.
        uploads: is told of files that were acknowledged.
        run: part of all idempotency keys of this run.
    """

    def __init__(self, url: str, hook: str, journal: SyncedJournal, uploads: Uploads, run: str) -> None:
        self._url = url
        self._clients: list[AsyncClient] = []
        self._idle: list[AsyncClient] = []
        self._racing = self._new_client()
        self._http = httpx2.AsyncClient(timeout=20)
        self._hook = hook
        self._journal = journal
        self._uploads = uploads
        self._run = run
        self._unread: list[AsyncRequestHandle] = []
        self._read: list[AsyncRequestHandle] = []
        self.acknowledged = 0

    async def aclose(self) -> None:
        for client in self._clients:
            await client.aclose()
        await self._http.aclose()

    async def call(self, planned: Planned) -> None:
        """Make one call, and follow it to its end."""
        chance = random.Random(planned.seed)  # noqa: S311 - repeatable on purpose
        body = {"n": planned.n, "seconds": planned.seconds}
        client = self._a_client()
        try:
            match planned.kind:
                case "run":
                    await self._run_it(client, planned, body, chance)
                case "race":
                    await self._race(planned, body)
                case "file":
                    await self._file(client, planned, body, chance)
                case _:
                    await self._queued(client, planned, body, chance)
        except client_errors.ClientError as error:
            await self._journal.keep(k="trouble", what=f"{planned.kind} {planned.n}: {type(error).__name__}: {error}")
        finally:
            self._idle.append(client)

    async def read_again(self, sample: int, seed: int) -> None:
        """At the end: read what nobody has waited for, and once more what was read before."""
        chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
        again = self._unread + chance.sample(self._read, min(sample, len(self._read)))
        gate = asyncio.Semaphore(_READERS)

        async def one(handle: AsyncRequestHandle) -> None:
            async with gate:
                await self._result(handle)

        async with asyncio.TaskGroup() as group:
            for handle in again:
                group.create_task(one(handle))

    def _a_client(self) -> AsyncClient:
        """A client that nobody uses. Each call has one of its own: before each exchange a client looks at all the
        connections that it holds, so that one client for all would spend half of its time with that."""
        return self._idle.pop() if self._idle else self._new_client()

    def _new_client(self) -> AsyncClient:
        client = AsyncClient(base_url=self._url, key="torture:torture", max_attempts=_ATTEMPTS)
        self._clients.append(client)
        return client

    # ---- kinds of calls

    async def _queued(self, client: AsyncClient, planned: Planned, body: dict[str, Any], chance: random.Random) -> None:
        path = chance.choice(("", "/sync"))
        if planned.kind == "stream":
            path, body = "/pieces", {**body, "count": 12}
        webhook = self._hook if planned.kind == "webhook" else None
        handle = await self._submit(client, planned, path, body, webhook)
        if planned.kind == "cancel":
            await asyncio.sleep(chance.uniform(0.0, 0.3))
            await self._patiently(handle.cancel)
            self._journal.note(k="cancel", request_id=handle.request_id)
        elif planned.kind == "stream":
            await self._stream(client, handle, 12, chance)
        elif planned.kind == "later":
            self._unread.append(handle)
            return
        await self._result(handle)

    async def _submit(
        self, client: AsyncClient, planned: Planned, path: str, body: dict[str, Any], webhook: str | None = None
    ) -> AsyncRequestHandle:
        key = f"{self._run}-{planned.n}"
        handle = await self._patiently(
            lambda: client.submit(APP, body, path=path, webhook_url=webhook, idempotency_key=key)
        )
        await self._acknowledged(planned, handle.request_id, key, webhook is not None)
        return handle

    async def _acknowledged(self, planned: Planned, request_id: str, key: str, webhook: bool = False) -> None:
        # On disk before anything is done with it: all else that a caller notes is only what it saw.
        await self._journal.keep(
            k="ack", request_id=request_id, n=planned.n, kind=planned.kind, key=key, webhook=webhook
        )
        self.acknowledged += 1

    async def _run_it(self, client: AsyncClient, planned: Planned, body: dict[str, Any], chance: random.Random) -> None:
        key = f"{self._run}-{planned.n}"
        path = chance.choice(("", "/sync"))
        result = await self._patiently(lambda: client.run(APP, body, path=path, idempotency_key=key, timeout=60))
        await self._acknowledged(planned, result["request_id"], key)
        self._saw(result["request_id"], result)

    async def _race(self, planned: Planned, body: dict[str, Any]) -> None:
        handles: list[AsyncRequestHandle] = []

        async def one() -> None:
            handles.append(await self._submit(self._racing, planned, "", body))

        async with asyncio.TaskGroup() as group:
            for _ in range(RACERS):
                group.create_task(one())
        # All but one were repeats: one request was acknowledged.
        self.acknowledged -= RACERS - 1
        await self._result(handles[0])

    async def _file(self, client: AsyncClient, planned: Planned, body: dict[str, Any], chance: random.Random) -> None:
        data = chance.randbytes(chance.randrange(1, 200_000))
        url = await self._patiently(lambda: client.upload(data, "application/octet-stream"))
        await self._uploads.acknowledged(url, data)
        handle = await self._submit(client, planned, "/file", {**body, "file": {"url": url}})
        result = await self._result(handle)
        if result is not None:
            stored = await self._download(result["file"]["url"])
            right = stored == backwards(data)
            await self._uploads.acknowledged(result["file"]["url"], backwards(data))
            self._journal.note(k="file", request_id=handle.request_id, right=right)

    async def _download(self, url: str) -> bytes:
        async def get() -> bytes:
            answer = await self._http.get(url)
            if answer.status_code >= 300:
                raise client_errors.make(answer.status_code, answer.text, None)
            return answer.content

        return await self._patiently(get)

    async def _stream(self, client: AsyncClient, handle: AsyncRequestHandle, count: int, chance: random.Random) -> None:
        """Follow the pieces, hang up in the middle, and go on where it was left."""
        seen: list[tuple[str, int]] = []
        last: str | None = None
        ended = False
        while not ended:
            leave = chance.randrange(1, count * 2)
            stream = client.streaming.follow(APP, handle.request_id, last_event_id=last, timeout=60)
            try:
                async for piece in stream:
                    seen.append((piece["execution"], piece["i"]))
                    last = stream.last_event_id
                    leave -= 1
                    if leave == 0:
                        break
                else:
                    ended = True
            except client_errors.HTTPError as error:
                ended = error.status_code not in _LATER
                await asyncio.sleep(_PAUSE)
            except (client_errors.ConnectionError, client_errors.TimeoutError):
                await asyncio.sleep(_PAUSE)
            finally:
                await stream.aclose()
        self._journal.note(k="stream", request_id=handle.request_id, count=count, pieces=seen)

    # ---- outcomes

    async def _result(self, handle: AsyncRequestHandle) -> dict[str, Any] | None:
        """The outcome, as the caller sees it."""
        try:
            result = await self._patiently(lambda: handle.get(timeout=60))
        except client_errors.HTTPError as error:
            self._journal.note(
                k="result", request_id=handle.request_id, status=error.status_code, error=error.error_type or ""
            )
            return None
        if not isinstance(result, dict) or "execution" not in result:
            self._journal.note(k="result", request_id=handle.request_id, status=200, error="", stream=True)
            return None
        self._saw(handle.request_id, result)
        if len(self._read) < 5_000:
            self._read.append(handle)
        return result

    def _saw(self, request_id: str, result: dict[str, Any]) -> None:
        # A stream's outcome is its last piece, which proves nothing.
        right = "i" in result or (result["proof"] == proof(result["n"]) and result["request_id"] == request_id)
        self._journal.note(
            k="result", request_id=request_id, status=200, error="", execution=result["execution"], right=right
        )

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer: a server that is down comes back."""
        while True:
            try:
                return await ask()
            except (client_errors.ConnectionError, client_errors.TimeoutError, httpx2.RequestError):
                await asyncio.sleep(_PAUSE)
            except client_errors.HTTPError as error:
                if error.status_code not in _LATER:
                    raise
                await asyncio.sleep(_PAUSE)


def find_blob(files: Path, data: bytes) -> Path | None:
    """Where the folder of files keeps these bytes."""
    sums = Sums()
    sums.add(data)
    digest = sums.blob("").digest
    return next((files / "blobs" / digest[:2]).glob(f"{digest}-*"), None)
