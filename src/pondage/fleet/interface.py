"""What the gateway may ask of the fleet."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

import msgspec

from pondage.fleet.expectations import Span
from pondage.queue.interface import Cancelled, NewRequest, Receipt, RequestView
from pondage.queue.operations import Hold, Operation
from pondage.wire.events import Chunk, Outcome
from pondage.wire.frames import AppInfo, SessionClose


class AppState(msgspec.Struct, frozen=True):
    """An app as the fleet sees it now. `fault` says in one line why it cannot run; None while it can."""

    info: AppInfo
    runners: int
    slots: int
    free: int
    fault: str | None = None
    served: bool = True
    """This server has its source. It stays known, and its requests wait, while no server has."""
    held: Hold | None = None
    """Who has paused or drained it, if somebody has."""

    @property
    def why_waiting(self) -> str | None:
        """Why none of its requests is started just now; None while they are."""
        return self.fault or (str(self.held) if self.held is not None else None)


class Calibrated(msgspec.Struct, frozen=True):
    """How well what was expected came true: of how many requests, and which share of them ended before p50 and p90."""

    requests: int
    before_p50: float
    before_p90: float


class Quote(NamedTuple):
    """What a request costs, about how many seconds of running are ahead of it, and when it starts and ends."""

    cost: float
    work_ahead: float
    forecast: Forecast


class Forecast(NamedTuple):
    """When a request starts and ends, each as seconds from now within which half of such requests, and nine of ten,
    have; None where nobody can tell, or it has started."""

    start: Span | None
    end: Span | None


UNKNOWN = Forecast(None, None)


class RunnerState(msgspec.Struct, frozen=True):
    """One runner process."""

    id: str
    app: str
    pid: int
    state: str
    """`starting`, `ready`, `draining`, `lost`."""
    started_at: float
    running: list[str] = []
    memory: int = 0
    devices: float = 0.0
    """How many devices it holds."""


class RunnerLine(msgspec.Struct, frozen=True):
    """A line of a runner's own log, which belongs to no request."""

    at: float
    app: str
    runner: str
    level: str
    message: str


class Ticket(Protocol):
    """A submitted request in this process: what the caller may wait for."""

    request_id: str
    receipt: asyncio.Future[Receipt]
    """Done after the commit of the submit. A lazy submit has none of its own; it is acknowledged by its outcome."""

    async def outcome(self) -> Outcome | None:
        """After the commit of the outcome. None: the server stops, and the request has not ended before."""
        ...


class SessionChannel(Protocol):
    """The two-way channel between a caller's WebSocket and a runner, once a slot was found."""

    request_id: str

    def connect(self, put: Callable[[bytes, bool], bool], ended: Callable[[SessionClose], None]) -> None:
        """From now on hand on what comes from the runner, and what has come, in the turn in which it comes.

        Args:
            put: takes a message and whether it is text; False: no more until `go_on`.
            ended: hears, once and last, that the runner's side is over.
        """
        ...

    def go_on(self) -> None:
        """There is room for the caller's messages again."""
        ...

    def send(self, data: bytes, text: bool) -> bool:
        """To the runner; False: it is on its way, and its connection has no room for more until `drained`."""
        ...

    async def drained(self) -> None: ...

    async def close(self, code: int = 1000, reason: str = "") -> None: ...


class Fleet(Protocol):
    def app(self, name: str) -> AppState | None:
        """An app that is known, with or without runners."""
        ...

    @property
    def infos(self) -> Mapping[str, AppInfo]:
        """What each known app declares: up to date as one looks, the same object until it changes."""
        ...

    def app_names(self) -> list[str]: ...

    def runners(self) -> list[RunnerState]: ...

    def runner_log(self, app: str) -> list[RunnerLine]:
        """What the runners of an app said outside of requests, oldest first; the newest lines only."""
        ...

    def quote(self, app: str, path: str, body: bytes, priority: int, caller: str) -> Quote:
        """What a request with this input would cost, and when it would start and end, if this caller brought it now."""
        ...

    def forecast(self, view: RequestView) -> Forecast:
        """When a request starts and ends."""
        ...

    def calibrated(self, app: str) -> Calibrated | None:
        """How well that was told; None where nothing was."""
        ...

    def submit(self, request: NewRequest, *, lazy: bool = False, direct: bool = False) -> Ticket:
        """Into the queue, with what is expected of it, and to a runner at once where a slot is free and nobody waits.

        `lazy`: see the queue; `direct`: its caller stays for the outcome.
        """
        ...

    async def cancel(self, request_id: str, reason: str = "client_cancelled") -> Cancelled:
        """End a request as cancelled and stop its attempt."""
        ...

    def left(self, request_id: str) -> None:
        """The caller of a run has hung up, and nobody can come back for it: it ends as cancelled, and its attempt is
        told; no process is ended for it."""
        ...

    def preview(self, request_id: str) -> bytes:
        """The newest picture that a running request shows of its work, as an image file; empty where there is none."""
        ...

    def live_previews(self, request_id: str, sink: Callable[[bytes], None]) -> Callable[[], None]:
        """Hear such pictures as they come. Returns the function that stops listening."""
        ...

    def live_chunks(self, request_id: str, sink: Callable[[int, Chunk], bool]) -> Callable[[], None]:
        """Hear the chunks of a running request as they arrive, before they are committed: `sink(attempt, chunk)`.

        The sink returns False when its reader is behind: it is then dropped, and continues from the queue's log.
        Returns the function that stops listening.
        """
        ...

    async def forget(self, name: str) -> None:
        """Forget an app that this server does not serve; its finished requests stay.

        Raises:
            InvalidInput: the server serves it, or requests of it wait or run.
        """
        ...

    async def hold(self, operation: Operation) -> Hold | None:
        """Pause, drain or resume the app that the operation names; what holds it afterwards."""
        ...

    def wake(self, apps: Iterable[str]) -> None:
        """Requests of these apps wait that did not before."""
        ...

    def operate(self) -> None:
        """An operation of the queue was begun, or goes on: its steps are taken beside everything else."""
        ...

    def running_by(self, app: str) -> Counter[str]:
        """How many requests of an app run here, by key."""
        ...

    async def open_session(self, request: NewRequest, waiting: Callable[[int], None]) -> SessionChannel:
        """Submit a session and wait for its runner. `waiting(position)` hears the place in line.

        Raises:
            RequestError: no slot within the limit, or the app cannot run.
        """
        ...
