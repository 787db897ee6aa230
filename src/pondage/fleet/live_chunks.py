"""Partial output of the attempts that run: into the log, and at once to whoever listens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from pondage.fleet.chunks import ChunkLog
from pondage.fleet.commits import REPEAT
from pondage.fleet.runners import Runner
from pondage.queue.interface import Claim, Queue
from pondage.wire.events import Chunk, Entry
from pondage.wire.frames import Committed, Entries

ChunkSink: TypeAlias = Callable[[int, Chunk], bool]


class LiveChunks:
    """The chunk logs of this gateway by request and attempt, and who listens to which request."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._sinks: defaultdict[str, list[ChunkSink]] = defaultdict(list)
        self._logs: dict[tuple[str, int], ChunkLog] = {}

    def listen(self, request_id: str, sink: ChunkSink) -> Callable[[], None]:
        """Hear chunks before their commit, until the returned function is called or the sink says False."""
        self._sinks[request_id].append(sink)

        def stop() -> None:
            if sink in self._sinks.get(request_id, ()):
                self._sinks[request_id].remove(sink)
                if not self._sinks[request_id]:
                    del self._sinks[request_id]

        return stop

    def add(self, runner: Runner, frame: Entries) -> bool:
        """Take what an attempt says, in its order, if it has shown a chunk. Else it is not taken, and False."""
        key = (frame.request_id, frame.attempt)
        chunks = self._logs.get(key)
        if chunks is None and any(type(entry) is Chunk for entry in frame.entries):
            running = runner.running.get(frame.request_id)
            if running is not None and running.claim.attempt == frame.attempt:
                chunks = self._logs[key] = self._log(runner, frame)
                running.seen_chunk = True
        if chunks is None:
            return False
        chunks.add(frame.entries)
        return True

    def _log(self, runner: Runner, frame: Entries) -> ChunkLog:
        request_id, attempt = frame.request_id, frame.attempt

        def committed(entries: list[Entry], held: bool) -> None:
            last = max((entry.n for entry in entries if type(entry) is Chunk), default=0)
            if last and runner.link is not None:
                runner.link.send(Committed(request_id, attempt, chunks=last))

        show = partial(self._show, request_id, attempt)
        return ChunkLog(self._queue, request_id, attempt, show=show, committed=committed, pause=REPEAT)

    def _show(self, request_id: str, attempt: int, entries: list[Entry]) -> None:
        if sinks := self._sinks.get(request_id):
            for entry in entries:
                if type(entry) is Chunk:
                    sinks[:] = [sink for sink in sinks if sink(attempt, entry)]
            if not sinks:
                self._sinks.pop(request_id, None)

    def after(self, request_id: str, attempt: int, then: Callable[[], None]) -> None:
        """Do something once all of the attempt's chunks are on disk; now, where they are."""
        chunks = self._logs.get((request_id, attempt))
        if chunks is None:
            then()
            return

        def drained() -> None:
            # It stays until it is empty: an outcome that comes twice must not overtake the chunks the second time.
            self.forget(request_id, attempt)
            then()

        chunks.after(drained)

    def forget(self, request_id: str, attempt: int) -> None:
        """The attempt is over: what it still says counts for nothing."""
        self._logs.pop((request_id, attempt), None)

    async def were_seen(self, claim: Claim) -> bool:
        """Whether partial output of this request is in its log."""
        return bool(await self._queue.chunks(claim.request.id, after=(0, 0), limit=1))
