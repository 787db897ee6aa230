"""Uploads that the server has acknowledged: each must be whole at the end, whatever has befallen the disk."""

from __future__ import annotations

import asyncio
import hashlib
import random

import httpx2

from pondage.client import AsyncClient
from pondage.client import errors as client_errors
from pondage.torture.journals import SyncedJournal

REFUSALS = frozenset({503, 507})
"""How a server says that it cannot store anything just now."""
_READERS = 16
_PAUSE = 0.1


class Uploads:
    """Uploads files while the disk is ill, and reads again what was acknowledged.

    Args:
        url: the gateway's origin.
        journal: what was acknowledged, refused and read.
    """

    def __init__(self, url: str, journal: SyncedJournal) -> None:
        self._client = AsyncClient(base_url=url, key="torture:torture", max_attempts=1)
        self._http = httpx2.AsyncClient(timeout=20)
        self._journal = journal
        self._sums: dict[str, str] = {}

    async def aclose(self) -> None:
        await self._client.aclose()
        await self._http.aclose()

    async def acknowledged(self, url: str, data: bytes) -> None:
        """The server has answered an upload of `data` with `url`."""
        self._sums[url] = hashlib.sha256(data).hexdigest()
        await self._journal.keep(k="stored", url=url)

    async def store(self, data: bytes) -> bool:
        """Upload once; whether it was acknowledged. Any refusal but an honest one is noted as trouble."""
        try:
            url = await self._client.upload(data, "application/octet-stream")
        except client_errors.HTTPError as error:
            if error.status_code not in REFUSALS:
                await self._journal.keep(k="trouble", what=f"an upload was refused with {error.status_code}: {error}")
            self._journal.note(k="refused", status=error.status_code)
            return False
        except (client_errors.ConnectionError, client_errors.TimeoutError):
            return False
        await self.acknowledged(url, data)
        return True

    async def store_at_last(self, data: bytes) -> None:
        """Upload again and again until it is acknowledged."""
        while not await self.store(data):
            await asyncio.sleep(_PAUSE)

    async def read_all(self) -> None:
        """Read all that was acknowledged, once more."""
        gate = asyncio.Semaphore(_READERS)

        async def one(url: str, expected: str) -> None:
            async with gate:
                status, data = await self._read(url)
            right = status == 200 and hashlib.sha256(data).hexdigest() == expected
            self._journal.note(k="reread", url=url, right=right, status=status)

        async with asyncio.TaskGroup() as group:
            for url, expected in self._sums.items():
                group.create_task(one(url, expected))

    async def _read(self, url: str) -> tuple[int, bytes]:
        """Any answer is taken, but for one that says to come back later."""
        while True:
            try:
                answer = await self._http.get(url)
                if answer.status_code not in REFUSALS:
                    return answer.status_code, answer.content
            except httpx2.RemoteProtocolError:
                return 0, b""  # cut, as the server does where it finds damage in the middle
            except httpx2.RequestError:
                pass
            await asyncio.sleep(_PAUSE)


def some_files(chance: random.Random, count: int) -> list[bytes]:
    """Of all sizes, most of them small."""
    return [chance.randbytes(chance.choice((100, 5_000, 70_000, 400_000))) for _ in range(count)]
