"""One run from end to end: a scratch folder, a real server, callers, faults, an end in peace, the audit."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import msgspec

from pondage import __version__
from pondage.clock import SystemClock
from pondage.database.sqlite import SqliteDatabase
from pondage.queue.interface import NewRequest
from pondage.queue.news import News
from pondage.queue.sqlite import SqliteQueue
from pondage.settings import Settings
from pondage.testing.faults import FaultPlan
from pondage.testing.process import GatewayProcess
from pondage.torture import app, auditor, evidence, report, schedule
from pondage.torture.callers import Callers
from pondage.torture.gateway import NOTES, PLAN
from pondage.torture.hostile import Hostile
from pondage.torture.journals import SyncedJournal
from pondage.torture.receiver import Receiver
from pondage.torture.torturer import LEASE, Torturer
from pondage.torture.uploads import Uploads
from pondage.torture.words import APP, JOURNALS
from pondage.wire.ids import new_request_id

CALLERS = 96
"""Calls that are under way at once."""
_PEACE = 60.0
"""Seconds that everything gets to end, once there are no more faults."""
_READ_AGAIN = 300
"""Outcomes that are read once more at the end."""


class Wanted(msgspec.Struct, frozen=True):
    """What is asked for. `minutes`: no fault begins later; 0 for no limit."""

    kills: int
    requests: int
    seed: int
    minutes: float = 0.0
    queued: int = 0
    """Requests that wait already when the server starts, behind all others."""
    hostile: int = 8
    """Callers that drip, flood, never read and vanish, all the while."""
    keep: Path | None = None
    """Where the scratch folder stays; None removes it unless something was found."""


Say = Callable[[str], None]


def run(wanted: Wanted, say: Say = lambda _: None) -> report.Report:
    """Torture a server, and audit it. Blocks.

    Raises:
        PondageError: the server does not come up again.
    """
    folder = wanted.keep or Path(tempfile.mkdtemp(prefix="pondage-torture-"))
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    trial = Trial(wanted, folder, say)
    before = signal.signal(signal.SIGTERM, trial.told_to_end)
    try:
        asyncio.run(trial.run())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        trial.end()
        signal.signal(signal.SIGTERM, before)
    found = evidence.gather(folder)
    made = report.make(
        auditor.audit(found), found,
        version=__version__, seed=wanted.seed, requests=wanted.requests, seconds=time.monotonic() - begun,
        cut=trial.cut_short,
    )  # fmt: skip
    if wanted.keep is None and made.sound:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        say(f"the journals, the database and the server's log are in {folder}")
    return made


class Trial:
    """The run itself."""

    def __init__(self, wanted: Wanted, folder: Path, say: Say) -> None:
        self._wanted = wanted
        self._folder = folder
        self._say = say
        self._begun = 0
        self._progress = asyncio.Condition()
        self._barrier = 0
        """No call with this number or a higher one begins before its fault is over."""
        self.cut_short = False
        self._process: GatewayProcess | None = None
        self._running: asyncio.Task[None] | None = None

    def told_to_end(self, *_: object) -> None:
        """End the gateway first, as at Ctrl-C; told again meanwhile, it goes on with that.

        It does not go by way of SIGINT, which whoever runs in the background of a script does not hear.
        """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if self._running is None:
            raise KeyboardInterrupt
        loop = self._running.get_loop()
        if not loop.is_closed():  # else it is at its end already
            loop.call_soon_threadsafe(self._running.cancel)

    def end(self) -> None:
        """End what is left, once the loop and its threads are over: a start may have been under way in one of them."""
        if self._process is not None:
            self._process.__exit__()

    async def run(self) -> None:
        """From the first start to the last stop."""
        self._running = asyncio.current_task()
        folder, notes = self._folder, self._folder / "journals"
        plan, unsynced = folder / "plan.json", folder / "unsynced"
        FaultPlan().write(plan)
        notes.mkdir(exist_ok=True)
        callers_journal = SyncedJournal(notes / "callers.jsonl")
        torturer_journal = SyncedJournal(notes / "torturer.jsonl")
        receiver = Receiver(SyncedJournal(notes / "receiver.jsonl"), self._wanted.seed)
        await receiver.open()
        if self._wanted.queued:
            self._say(f"putting {self._wanted.queued} requests into the queue")
            await fill(folder / "data", self._wanted.queued, callers_journal)
        process = self._process = GatewayProcess(
            f"{app.__file__}:Tortured",
            data=folder / "data",
            module="pondage.torture.gateway",
            environ={JOURNALS: str(notes), PLAN: str(plan), NOTES: str(unsynced)},
            **SETTINGS,
        )
        try:
            await asyncio.to_thread(process.start)
            uploads = Uploads(process.url, callers_journal)
            callers = Callers(process.url, receiver.url, callers_journal, uploads, os.urandom(4).hex())
            torturer = Torturer(process, plan, unsynced, torturer_journal, uploads)
            hostile = Hostile(process.url, self._wanted.hostile, self._wanted.seed)
            disturbing = asyncio.create_task(hostile.run())
            try:
                await self._torture(callers, torturer, uploads, process.url)
            finally:
                disturbing.cancel()
                await asyncio.gather(disturbing, return_exceptions=True)
                await torturer_journal.keep(k="hostile", done=dict(hostile.done))
                await uploads.aclose()
                await callers.aclose()
                await torturer.aclose()
            await asyncio.to_thread(process.stop)
        finally:
            process.__exit__()
            await receiver.close()
            for journal in (callers_journal, torturer_journal):
                journal.close()

    async def _torture(self, callers: Callers, torturer: Torturer, uploads: Uploads, url: str) -> None:
        faults = schedule.faults(self._wanted.seed, self._wanted.kills, self._wanted.requests)
        calling = asyncio.create_task(self._call(callers))
        try:
            await self._inflict(faults, torturer, callers, calling)
            await torturer.mend()
            self._say("No more faults; waiting for running requests to finish")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PEACE + self._wanted.requests / 50):
                    await calling
                    await callers.read_again(_READ_AGAIN, self._wanted.seed)
                    await uploads.read_all()
                    await _delivered(url)
        finally:
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)

    async def _inflict(
        self, faults: list[schedule.Fault], torturer: Torturer, callers: Callers, calling: asyncio.Task[None]
    ) -> None:
        end = time.monotonic() + self._wanted.minutes * 60 if self._wanted.minutes else float("inf")
        kills = 0
        for n, fault in enumerate(faults):
            await self._reached(fault.at, calling)
            if time.monotonic() >= end:
                self.cut_short = True
                break
            await torturer.inflict(fault)
            kills += fault.kills
            if fault.kills:
                self._say(f"{kills}/{self._wanted.kills} {fault.kind}, {callers.acknowledged} acknowledged")
            later = faults[n + 1].at if n + 1 < len(faults) else self._wanted.requests
            await self._lift(later)
        await self._lift(self._wanted.requests)

    async def _reached(self, begun: int, calling: asyncio.Task[None]) -> None:
        """Wait until so many calls have begun, or no more will."""
        self._barrier = max(self._barrier, begun)
        async with self._progress:
            self._progress.notify_all()
            await self._progress.wait_for(lambda: self._begun >= begun or calling.done())

    async def _lift(self, to: int) -> None:
        async with self._progress:
            self._barrier = to
            self._progress.notify_all()

    async def _call(self, callers: Callers) -> None:
        """Make all calls, `CALLERS` at once. During a fault so many more may begin as lie before the next one."""
        gate = asyncio.Semaphore(CALLERS)

        async def one(n: int) -> None:
            try:
                await callers.call(schedule.planned(self._wanted.seed, n))
            finally:
                gate.release()

        async with asyncio.TaskGroup() as group:
            for n in range(self._wanted.requests):
                await gate.acquire()
                async with self._progress:
                    await self._progress.wait_for(lambda n=n: n < self._barrier + CALLERS)  # type: ignore[misc]
                    self._begun = n + 1
                    self._progress.notify_all()
                group.create_task(one(n))


SETTINGS = {
    "lease": LEASE,
    "heartbeat": LEASE / 5,
    "reconnect": 10.0,
    "cancel_grace": 1.0,
    "crash_backoff": 0.1,
    "crash_backoff_max": 0.5,
    "sweep_interval": 0.5,
    # Kills hit the same request more than once by chance; here that must not end it.
    "max_strikes": 1000,
    "webhook_schedule": [0.0, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0],
    "webhook_jitter": 0.0,
    "webhook_breaker": 1000,
}
"""Those of the tortured server: short leases, so that much happens in little time."""


async def fill(data: Path, count: int, journal: SyncedJournal) -> None:
    """Put requests of low priority into the queue of a folder that no server has."""
    database = await SqliteDatabase.open(data)
    queue = await SqliteQueue.open(database, SystemClock(), Settings(), News())
    for begin in range(0, count, 2000):
        receipts = []
        for n in range(begin, min(begin + 2000, count)):
            body = msgspec.json.encode({"n": -n - 1})
            new = NewRequest(new_request_id(), APP, "/", "call", body, time.time(), priority=1)
            receipts.append(queue.submit(new).receipt)
        for receipt in await asyncio.gather(*receipts):
            journal.note(k="ack", request_id=receipt.request_id, n=0, kind="queued", key=receipt.request_id)
    await queue.close()
    await database.close()


async def _delivered(url: str) -> None:
    """Wait until no delivery is owed."""
    async with httpx2.AsyncClient(timeout=5) as http:
        while True:
            with contextlib.suppress(httpx2.RequestError, KeyError, ValueError):
                answer = await http.get(f"{url}/api/v1/webhooks/deliveries?state=owed&limit=1")
                if not answer.json()["items"]:
                    return
            await asyncio.sleep(0.1)
