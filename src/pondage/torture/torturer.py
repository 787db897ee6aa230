"""Carries out the faults of a schedule on a running server, one after the other, and writes down what it saw.

One class with a method for each fault: they share what they act on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import msgspec

from pondage.errors import PondageError
from pondage.testing.faults import POLL, FaultPlan
from pondage.testing.faulty_files import lose_files
from pondage.testing.process import GatewayProcess
from pondage.torture import damage
from pondage.torture.callers import find_blob
from pondage.torture.journals import SyncedJournal
from pondage.torture.schedule import Fault
from pondage.torture.uploads import Uploads, some_files
from pondage.torture.words import RUNNERS

LEASE = 1.5
_RECOVERY_LIMIT = 60.0
_POLL = 0.02
_FILES = 5
"""Files that are uploaded at once while the disk is ill."""


class Recovery(msgspec.Struct, frozen=True):
    """How long a fault kept the server from being whole. Seconds."""

    kind: str
    seconds: float


class Torturer:
    """Owns the gateway process.

    Args:
        process: the gateway, started.
        plan: where the gateway looks for its faults.
        notes: where it notes what is not synced.
        uploads: stores files while the disk is ill.
    """

    def __init__(
        self, process: GatewayProcess, plan: Path, notes: Path, journal: SyncedJournal, uploads: Uploads
    ) -> None:
        self._process = process
        self._plan_file = plan
        self._notes = notes
        self._journal = journal
        self._uploads = uploads
        self._plan = FaultPlan()
        self._http = httpx2.AsyncClient(timeout=5)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def inflict(self, fault: Fault) -> None:
        """Do what the fault says, and wait until the server is whole again."""
        chance = random.Random(fault.seed)  # noqa: S311 - repeatable on purpose
        act: Callable[[random.Random], object] = getattr(self, f"_{fault.kind}")
        begun = time.monotonic()
        recovery = await act(chance)  # type: ignore[misc]
        await self._journal.keep(
            k="fault", kind=fault.kind, kills=fault.kills, recovery=recovery, seconds=time.monotonic() - begun
        )

    async def mend(self) -> None:
        """No more faults."""
        self._set(FaultPlan())
        await asyncio.sleep(0.1)

    # ---- kills

    async def _gateway(self, chance: random.Random) -> float:
        await asyncio.to_thread(self._process.kill)
        if chance.random() < 0.3:
            await asyncio.sleep(chance.uniform(0.0, 2 * LEASE))
        return await self._start()

    async def _everything(self, chance: random.Random) -> float:
        await asyncio.to_thread(self._process.kill_everything)
        return await self._start()

    async def _power(self, chance: random.Random) -> float:
        # Slow syncs, so that some writes are under way at any moment.
        self._set(msgspec.structs.replace(self._plan, sync_delay=0.2))
        storing = self._store(chance)
        incoming = self._process.data / "files" / "incoming"
        while not storing.done() and not await asyncio.to_thread(lambda: any(incoming.iterdir())):
            await asyncio.sleep(_POLL)
        await asyncio.sleep(chance.uniform(0.0, 0.5))
        await asyncio.to_thread(self._process.kill_everything)
        self._set(msgspec.structs.replace(self._plan, sync_delay=0.0))
        count = await asyncio.to_thread(damage.lose_power, self._process.data, self._notes, chance)
        files = await asyncio.to_thread(lose_files, self._process.data / "files", self._notes, chance)
        await storing
        self._journal.note(k="power", unsynced=count, files=files)
        return await self._start()

    async def _torn_log(self, chance: random.Random) -> float:
        await asyncio.to_thread(self._process.kill)
        what = await asyncio.to_thread(damage.tear_log, self._process.data, chance)
        self._journal.note(k="torn", what=what)
        return await self._start()

    async def _damaged_database(self, chance: random.Random) -> float:
        await asyncio.to_thread(self._process.kill_everything)
        spoiled = await asyncio.to_thread(damage.Spoiled, self._process.data, chance)
        try:
            await asyncio.to_thread(self._process.start, ready=False, timeout=20)
        except PondageError as error:
            refused = "damaged" in str(error)
            await self._journal.keep(k="damage", what="database", refused=refused, said=str(error)[-300:])
        else:
            await self._journal.keep(k="damage", what="database", refused=False, said="it was served")
            await asyncio.to_thread(self._process.kill_everything)
        await asyncio.to_thread(spoiled.restore)
        return await self._start()

    async def _runner(self, chance: random.Random) -> float:
        pids = await self._ready_pids()
        victim = chance.choice(sorted(pids))
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        return await self._replaced({victim})

    async def _runners(self, chance: random.Random) -> float:
        return await self._replaced(set(self._process.kill_runners()))

    async def _stopped_runner(self, chance: random.Random) -> float:
        victim = chance.choice(sorted(await self._ready_pids()))
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGSTOP)
        await asyncio.sleep(LEASE)
        return await self._replaced({victim})

    # ---- disturbances

    async def _disk_full(self, chance: random.Random) -> None:
        await self._while_storing(chance, chance.uniform(0.2, 1.0), disk_full=True)

    async def _slow_sync(self, chance: random.Random) -> None:
        await self._for_a_while(chance.uniform(0.5, 1.5), sync_delay=chance.choice((0.02, 0.1, 0.3)))

    async def _failing_sync(self, chance: random.Random) -> None:
        await self._while_storing(chance, chance.uniform(0.2, 1.0), sync_fails=True)

    async def _clock_jump(self, chance: random.Random) -> None:
        offset = chance.choice((-7200.0, -60.0, 60.0, 3600.0, 7200.0))
        # It stays until the next jump: a clock that was set is not set back after a second.
        self._set(msgspec.structs.replace(self._plan, wall_offset=offset))
        await asyncio.sleep(0.2)

    async def _lost_answers(self, chance: random.Random) -> None:
        await self._for_a_while(0.3, link="lose", link_share=0.02)
        await self._whole()

    async def _doubled_answers(self, chance: random.Random) -> None:
        await self._for_a_while(chance.uniform(0.3, 1.0), link="double", link_share=0.5)

    async def _late_answers(self, chance: random.Random) -> None:
        await self._for_a_while(
            chance.uniform(0.3, 1.0), link="delay", link_share=0.2, link_delay=chance.uniform(0.05, LEASE / 2)
        )

    async def _lost_receipts(self, chance: random.Random) -> None:
        # What a runner believes unheard it hands in again when it meets the next gateway: the next kill tells.
        await self._for_a_while(chance.uniform(0.3, 1.0), link="forget", link_share=0.3)

    async def _stopped_gateway(self, chance: random.Random) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(LEASE * 1.2)
        finally:
            os.kill(self._process.pid, signal.SIGCONT)
        await self._whole()

    async def _damaged_file(self, chance: random.Random) -> None:
        data = chance.randbytes(chance.randrange(1_000, 500_000))
        url = await self._stored(data)
        blob = find_blob(self._process.data / "files", data)
        if blob is None:
            await self._journal.keep(k="damage", what="file", refused=False, said="its bytes were not found")
            return
        at = chance.randrange(len(data))
        with blob.open("r+b") as file:
            file.seek(at)
            file.write(bytes([data[at] ^ 0x55]))
        answer = await self._fetched(url)
        refused = answer is None or answer == b""
        await self._journal.keep(k="damage", what="file", refused=refused, said=f"byte {at} of {len(data)}")
        blob.write_bytes(data)
        again = await self._fetched(url)
        await self._journal.keep(k="mended", what="file", right=again == data)

    async def _stored(self, data: bytes) -> str:
        from pondage.client import AsyncClient

        async with AsyncClient(base_url=self._process.url, key="torture:torture") as client:
            url = await client.upload(data, "application/octet-stream")
        await self._uploads.acknowledged(url, data)
        return url

    async def _fetched(self, url: str) -> bytes | None:
        """The whole file, or None where it is refused or cut."""
        try:
            answer = await self._http.get(url)
        except httpx2.RequestError:
            return None
        return answer.content if answer.status_code == 200 else None

    # ---- means

    def _set(self, plan: FaultPlan) -> None:
        self._plan = plan
        plan.write(self._plan_file)

    async def _for_a_while(self, seconds: float, **what: object) -> None:
        before = self._plan
        self._set(msgspec.structs.replace(before, **what))
        try:
            await asyncio.sleep(seconds)
        finally:
            self._set(before)
            await asyncio.sleep(0.05)

    async def _while_storing(self, chance: random.Random, seconds: float, **what: object) -> None:
        """As `_for_a_while`, and until some uploads have been answered. Files that are refused are taken afterwards."""
        before = self._plan
        self._set(msgspec.structs.replace(before, **what))
        try:
            await asyncio.sleep(2 * POLL)
            refused, _ = await asyncio.gather(self._store(chance), asyncio.sleep(seconds))
        finally:
            self._set(before)
        await asyncio.sleep(0.05)
        await asyncio.gather(*[self._uploads.store_at_last(data) for data in refused])

    def _store(self, chance: random.Random) -> asyncio.Task[list[bytes]]:
        """Upload some files at once; the result is those that were not acknowledged."""
        files = some_files(chance, _FILES)

        async def all_of_them() -> list[bytes]:
            taken = await asyncio.gather(*[self._uploads.store(data) for data in files])
            return [data for data, was_taken in zip(files, taken, strict=True) if not was_taken]

        return asyncio.create_task(all_of_them())

    async def _start(self) -> float:
        begun = time.monotonic()
        await asyncio.to_thread(self._process.start, timeout=_RECOVERY_LIMIT)
        return time.monotonic() - begun

    async def _ready_pids(self) -> set[int]:
        """The runners that take requests."""
        while True:
            try:
                answer = await self._http.get(f"{self._process.url}/api/v1/runners")
                pids = {int(item["pid"]) for item in answer.json()["items"] if item["state"] == "ready"}
                if pids:
                    return pids
            except (httpx2.RequestError, KeyError, ValueError):
                pass
            await asyncio.sleep(_POLL)

    async def _replaced(self, gone: set[int]) -> float:
        begun = time.monotonic()
        while True:
            pids = await self._ready_pids()
            if len(pids) >= RUNNERS and not pids & gone:
                return time.monotonic() - begun
            if time.monotonic() - begun > _RECOVERY_LIMIT:
                raise PondageError(f"runners {gone} were not replaced within {_RECOVERY_LIMIT:g} s")
            await asyncio.sleep(_POLL)

    async def _whole(self) -> float:
        return await self._replaced(set())
