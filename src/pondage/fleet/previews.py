"""Pictures of work in progress, from runners to whoever watches: the newest of each request that runs, and no other."""

from __future__ import annotations

from collections.abc import Callable

from pondage.fleet.runners import Runner
from pondage.wire.frames import Preview

Sink = Callable[[bytes], None]

MOST_BYTES = 64 * 1024
"""A larger one comes from a runner that keeps no rules; it is passed over."""


class Previews:
    """Who watches which request."""

    def __init__(self) -> None:
        self._sinks: dict[str, list[Sink]] = {}

    def preview(self, runner: Runner, frame: Preview) -> None:
        """A runner shows something; of an attempt that it no longer has, it shows nothing."""
        running = runner.running.get(frame.request_id)
        if running is None or running.claim.attempt != frame.attempt or len(frame.data) > MOST_BYTES:
            return
        running.preview = frame.data
        for sink in self._sinks.get(frame.request_id, ()):
            sink(frame.data)

    def listen(self, request_id: str, sink: Sink) -> Callable[[], None]:
        """Hear of pictures of a request as they come, until the function that is returned is called."""
        self._sinks.setdefault(request_id, []).append(sink)

        def stop() -> None:
            sinks = self._sinks.get(request_id, [])
            if sink in sinks:
                sinks.remove(sink)
            if not sinks:
                self._sinks.pop(request_id, None)

        return stop
