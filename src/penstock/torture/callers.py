"""The callers: they use the real client, write down what was acknowledged before they act on it, and what they saw."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from penstock.client import AsyncClient, AsyncRequestHandle
from penstock.client import errors as client_errors
from penstock.files.blobs import Sums
from penstock.torture.app import backwards, proof
from penstock.torture.journals import SyncedJournal
from penstock.torture.schedule import Planned
from penstock.torture.words import APP

T = TypeVar("T")

RACERS = 50
_PAUSE = 0.1
_LATER = frozenset({408, 429, 502, 503, 507})
"""Statuses that are no outcome: the server could not do it just now."""


class Callers:
    """All callers of a run, over one client.

    Args:
        url: the gateway's origin.
        hook: where webhooks go.
        journal: what they write down.
    """

    def __init__(self, url: str, hook: str, journal: SyncedJournal, run: str) -> None:
        self._client = AsyncClient(base_url=url, key="torture:torture")
        self._http = httpx2.AsyncClient(timeout=20)
        self._hook = hook
        self._journal = journal
        self._run = run
        self._unread: list[AsyncRequestHandle] = []
        self._read: list[AsyncRequestHandle] = []
        self.acknowledged = 0

    async def aclose(self) -> None:
        await self._client.aclose()
        await self._http.aclose()

    async def call(self, planned: Planned) -> None:
        """Make one call, and follow it to its end."""
        chance = random.Random(planned.seed)  # noqa: S311 - repeatable on purpose
        body = {"n": planned.n, "seconds": planned.seconds}
        try:
            match planned.kind:
                case "run":
                    await self._run_it(planned, body, chance)
                case "race":
                    await self._race(planned, body)
                case "file":
                    await self._file(planned, body, chance)
                case _:
                    await self._queued(planned, body, chance)
        except client_errors.ClientError as error:
            await self._journal.keep(k="trouble", what=f"{planned.kind} {planned.n}: {type(error).__name__}: {error}")

    async def read_again(self, sample: int, seed: int) -> None:
        """At the end: read what nobody has waited for, and once more what was read before."""
        chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
        again = self._unread + chance.sample(self._read, min(sample, len(self._read)))
        gate = asyncio.Semaphore(32)

        async def one(handle: AsyncRequestHandle) -> None:
            async with gate:
                await self._result(handle)

        async with asyncio.TaskGroup() as group:
            for handle in again:
                group.create_task(one(handle))

    # ---- kinds of calls

    async def _queued(self, planned: Planned, body: dict[str, Any], chance: random.Random) -> None:
        path = chance.choice(("", "/sync"))
        if planned.kind == "stream":
            path, body = "/pieces", {**body, "count": 12}
        webhook = self._hook if planned.kind == "webhook" else None
        handle = await self._submit(planned, path, body, webhook)
        if planned.kind == "cancel":
            await asyncio.sleep(chance.uniform(0.0, 0.3))
            await self._patiently(handle.cancel)
            await self._journal.keep(k="cancel", request_id=handle.request_id)
        elif planned.kind == "stream":
            await self._stream(handle, 12, chance)
        elif planned.kind == "later":
            self._unread.append(handle)
            return
        await self._result(handle)

    async def _submit(
        self, planned: Planned, path: str, body: dict[str, Any], webhook: str | None = None
    ) -> AsyncRequestHandle:
        key = f"{self._run}-{planned.n}"
        handle = await self._patiently(
            lambda: self._client.submit(APP, body, path=path, webhook_url=webhook, idempotency_key=key)
        )
        await self._acknowledged(planned, handle.request_id, key, webhook is not None)
        return handle

    async def _acknowledged(self, planned: Planned, request_id: str, key: str, webhook: bool = False) -> None:
        await self._journal.keep(
            k="ack", request_id=request_id, n=planned.n, kind=planned.kind, key=key, webhook=webhook
        )
        self.acknowledged += 1

    async def _run_it(self, planned: Planned, body: dict[str, Any], chance: random.Random) -> None:
        key = f"{self._run}-{planned.n}"
        path = chance.choice(("", "/sync"))
        result = await self._patiently(lambda: self._client.run(APP, body, path=path, idempotency_key=key, timeout=60))
        await self._acknowledged(planned, result["request_id"], key)
        await self._saw(result["request_id"], result)

    async def _race(self, planned: Planned, body: dict[str, Any]) -> None:
        handles: list[AsyncRequestHandle] = []

        async def one() -> None:
            handles.append(await self._submit(planned, "", body))

        async with asyncio.TaskGroup() as group:
            for _ in range(RACERS):
                group.create_task(one())
        # All but one were repeats: one request was acknowledged.
        self.acknowledged -= RACERS - 1
        await self._result(handles[0])

    async def _file(self, planned: Planned, body: dict[str, Any], chance: random.Random) -> None:
        data = chance.randbytes(chance.randrange(1, 200_000))
        url = await self._patiently(lambda: self._client.upload(data, "application/octet-stream"))
        handle = await self._submit(planned, "/file", {**body, "file": {"url": url}})
        result = await self._result(handle)
        if result is not None:
            stored = await self._download(result["file"]["url"])
            right = stored == backwards(data)
            await self._journal.keep(k="file", request_id=handle.request_id, right=right)

    async def _download(self, url: str) -> bytes:
        async def get() -> bytes:
            answer = await self._http.get(url)
            if answer.status_code >= 300:
                raise client_errors.make(answer.status_code, answer.text, None)
            return answer.content

        return await self._patiently(get)

    async def _stream(self, handle: AsyncRequestHandle, count: int, chance: random.Random) -> None:
        """Follow the pieces, hang up in the middle, and go on where it was left."""
        seen: list[tuple[str, int]] = []
        last: str | None = None
        ended = False
        while not ended:
            leave = chance.randrange(1, count * 2)
            stream = self._client.streaming.follow(APP, handle.request_id, last_event_id=last, timeout=60)
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
        await self._journal.keep(k="stream", request_id=handle.request_id, count=count, pieces=seen)

    # ---- outcomes

    async def _result(self, handle: AsyncRequestHandle) -> dict[str, Any] | None:
        """The outcome, as the caller sees it."""
        try:
            result = await self._patiently(lambda: handle.get(timeout=60))
        except client_errors.HTTPError as error:
            await self._journal.keep(
                k="result", request_id=handle.request_id, status=error.status_code, error=error.error_type or ""
            )
            return None
        if not isinstance(result, dict) or "execution" not in result:
            await self._journal.keep(k="result", request_id=handle.request_id, status=200, error="", stream=True)
            return None
        await self._saw(handle.request_id, result)
        if len(self._read) < 5_000:
            self._read.append(handle)
        return result

    async def _saw(self, request_id: str, result: dict[str, Any]) -> None:
        # A stream's outcome is its last piece, which proves nothing.
        right = "i" in result or (result["proof"] == proof(result["n"]) and result["request_id"] == request_id)
        await self._journal.keep(
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
