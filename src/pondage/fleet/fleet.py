"""The fleet of one gateway: its socket, and every frame to whom it concerns."""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from pondage.clock import Clock
from pondage.files.interface import Files
from pondage.fleet.channels import Channel, Channels
from pondage.fleet.discover import AppSource
from pondage.fleet.dispatcher import Dispatcher
from pondage.fleet.environment import token_of
from pondage.fleet.forecasts import cost_of_input
from pondage.fleet.interface import UNKNOWN, AppState, Calibrated, Forecast, Quote, RunnerLine, RunnerState
from pondage.fleet.link import SocketLink
from pondage.fleet.live_chunks import ChunkSink
from pondage.fleet.operator import Operator
from pondage.fleet.placement import LocalProcesses, Placement
from pondage.fleet.previews import Previews
from pondage.fleet.runner_logs import RunnerLogs
from pondage.fleet.runners import Runner
from pondage.fleet.sessions import Sessions
from pondage.fleet.supervisor import Supervisor
from pondage.fleet.ticket import PendingRequest
from pondage.fleet.transfers import Transfers
from pondage.queue.interface import Cancelled, NewRequest, Queue, RequestView
from pondage.queue.news import News
from pondage.queue.operations import Hold, Operation
from pondage.settings import Settings
from pondage.steady import until_done
from pondage.wire import frames
from pondage.wire.events import Entry, Level, Log
from pondage.wire.states import State

log = logging.getLogger("pondage.fleet")


class LocalFleet:
    """Runners on this machine, reached over one Unix socket."""

    def __init__(
        self,
        queue: Queue,
        news: News,
        files: Files,
        clock: Clock,
        settings: Settings,
        *,
        own_hosts: list[str],
        secret: str,
        url: str = "",
        token: Callable[[str], str] = lambda app: "",
        orphans: bool = False,
        hurry: asyncio.Event | None = None,
    ) -> None:
        """
        Args:
            secret: what each runner's own token for the link is made from.
            url: the server's address, for apps that call others.
            token: makes a short-lived token for calls of an app to its own server; empty where none is needed.
            hurry: set to end the drain at once.
            orphans: this process inherits what runners leave behind when they end, and ends it.
        """
        self._queue = queue
        self._files = files
        self._clock = clock
        self._settings = settings
        self._own_hosts = own_hosts
        self._secret = secret
        self._url = url
        self._token = token
        self._orphans = orphans
        self._hurry = hurry or asyncio.Event()
        self._look = asyncio.Event()
        """Set when the demand for an app has changed; the supervisor waits for it."""
        self._previews = Previews()
        self._channels = Channels(settings.chunk_buffer_bytes)
        self.dispatcher = Dispatcher(queue, news, self._channels, self._look, clock, settings)
        self.sessions = Sessions(self.dispatcher, self._channels, queue, clock, settings)
        self._operator = Operator(queue, self.dispatcher, self._look)
        self._runner_logs = RunnerLogs(clock, settings.runner_log_lines)
        self._transfers: dict[SocketLink, Transfers] = {}
        self._links: set[SocketLink] = set()
        self._runtime: tempfile.TemporaryDirectory[str] | None = None
        self._server: asyncio.Server | None = None
        self._placement: Placement | None = None

    async def open(self, folder: Path, sources: list[AppSource], devices: list[str]) -> None:
        """Listen for runners and start the first ones. `folder` is `<data>/runners`.

        The socket lies in a short folder of its own: a Unix path ends at 107 bytes, and data folders may lie deep.
        """
        await self._operator.open()
        self._runtime = tempfile.TemporaryDirectory(prefix="pondage-")
        socket = Path(self._runtime.name) / "runners.sock"
        self._server = await asyncio.get_running_loop().create_unix_server(self._accept, str(socket))
        os.chmod(socket, 0o600)
        folder.mkdir(parents=True, exist_ok=True)
        note = folder / "gateway"
        try:
            note.with_suffix(".new").write_text(f"unix:{socket}")
            note.with_suffix(".new").rename(note)
        except OSError as error:
            log.warning("runners of the gateway before cannot come back, and end: %s", error)
        self._placement = LocalProcesses(
            folder=folder,
            socket=socket,
            secret=self._secret,
            files=self._settings.files,
            note=self._runner_logs.note,
            own=self._own_server,
            last_words=self._last_words,
            devices=devices,
            orphans=self._orphans,
        )
        self.supervisor = Supervisor(
            self.dispatcher, self._look, self._queue, self._placement, self._clock, self._settings, self._runner_logs
        )
        await self.supervisor.open(sources)

    async def run(self) -> None:
        """The fleet's background work, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.supervisor.run())
            group.create_task(self._renew())
            group.create_task(self._recall())
            group.create_task(self._operator.run())

    async def _recall(self) -> None:
        """Learn again what the finished requests tell; until then nothing is expected."""
        apps = sorted(self.supervisor.apps)
        recall = partial(self.dispatcher.forecasts.recall, apps)
        await until_done("what the finished requests tell cannot be read yet", recall)

    async def _renew(self) -> None:
        """Give runners new tokens long before the old ones end."""
        while True:
            await asyncio.sleep(self._settings.token_max_age / 3)
            for link in list(self._links):
                if isinstance(runner := link.owner, Runner):
                    link.send(frames.Credentials(self._token(runner.app)))

    def _own_server(self, app: str) -> dict[str, str]:
        token = self._token(app)
        return {"PONDAGE_URL": self._url, **({"PONDAGE_KEY": token} if token else {})} if self._url else {}

    async def stop(self) -> None:
        """Drain: running requests finish within the grace period or go back to the queue."""
        self.sessions.stop()
        await self.supervisor.stop(self._settings.grace, self._hurry)
        await self.dispatcher.stop()

    async def close(self) -> None:
        """End what is left of the runners, and the socket."""
        if self._placement is not None:
            await self._placement.stop()
        if self._server is not None:
            self._server.close()
        for link in list(self._links):
            link.close()
        if self._runtime is not None:
            await asyncio.to_thread(self._runtime.cleanup)

    def _last_words(self, app: str, runner_id: str, lines: list[tuple[Level, str]]) -> None:
        """What a process that has died had printed: of the request that it alone served, or of the runner."""
        entries: list[Entry] = [Log(self._clock.wall(), stream, line) for stream, line in lines]
        runner = self.dispatcher.accounts.runner(app, runner_id)
        running = [] if runner is None else list(runner.running.items())
        if runner is not None and len(running) == 1:
            (request_id, alone), *_ = running
            self.dispatcher.entries(runner, frames.Entries(request_id, alone.claim.attempt, entries))
        else:
            self._runner_logs.runner_log(app, runner_id, entries)

    # ---- Fleet, for the gateway

    def app(self, name: str) -> AppState | None:
        app = self.supervisor.apps.get(name)
        if app is None:
            return None
        runners = self.dispatcher.accounts.runners(name)
        alive = self._clock.monotonic() - self._settings.lease
        return AppState(
            info=app.info,
            runners=len(runners),
            slots=sum(runner.slots.total for runner in runners if runner.last_heard >= alive),
            free=sum(runner.free for runner in runners),
            fault=app.fault if app.source is not None else f"{name} is not served by this server just now",
            served=app.source is not None,
            held=self.dispatcher.accounts.held.get(name),
        )

    @property
    def infos(self) -> Mapping[str, frames.AppInfo]:
        return self.supervisor.infos

    def app_names(self) -> list[str]:
        return sorted(self.supervisor.apps)

    def runners(self) -> list[RunnerState]:
        return [
            RunnerState(
                id=runner.id,
                app=runner.app,
                pid=runner.pid,
                state=runner.phase.value,
                started_at=runner.started_at,
                running=sorted(runner.running),
                memory=runner.memory,
                devices=runner.devices,
            )
            for runner in self.dispatcher.accounts.all_runners()
        ]

    def runner_log(self, app: str) -> list[RunnerLine]:
        return self._runner_logs.lines(app)

    def quote(self, app: str, path: str, body: bytes, priority: int, caller: str) -> Quote:
        cost = cost_of_input(self.infos.get(app), path, body)
        ahead = self._queue.work_ahead(app, priority, caller)
        return Quote(
            cost, ahead, self.dispatcher.forecasts.quote(app, path, cost, ahead) if self._runs(app) else UNKNOWN
        )

    def forecast(self, view: RequestView) -> Forecast:
        if view.state is State.DONE or (view.state is State.QUEUED and not self._runs(view.app)):
            return UNKNOWN
        return self.dispatcher.forecasts.of(view)

    def calibrated(self, app: str) -> Calibrated | None:
        return self.dispatcher.forecasts.calibrated(app)

    def _runs(self, name: str) -> bool:
        """Whether somebody can tell when a request of this app will start."""
        app = self.supervisor.apps.get(name)
        served = app is not None and app.source is not None and app.fault is None
        return served and name not in self.dispatcher.accounts.held

    def submit(self, request: NewRequest, *, lazy: bool = False, direct: bool = False) -> PendingRequest:
        return self.dispatcher.submit(self._foreseen(request), lazy=lazy, direct=direct)

    async def cancel(self, request_id: str, reason: str = "client_cancelled") -> Cancelled:
        return await self.dispatcher.cancel(request_id, reason)

    def left(self, request_id: str) -> None:
        self.dispatcher.left(request_id)

    def preview(self, request_id: str) -> bytes:
        runner = self.dispatcher.accounts.holder(request_id)
        running = None if runner is None else runner.running.get(request_id)
        return b"" if running is None else running.preview

    def live_previews(self, request_id: str, sink: Callable[[bytes], None]) -> Callable[[], None]:
        return self._previews.listen(request_id, sink)

    def live_chunks(self, request_id: str, sink: ChunkSink) -> Callable[[], None]:
        return self.dispatcher.chunks.listen(request_id, sink)

    async def forget(self, name: str) -> None:
        await self.supervisor.forget(name)

    async def hold(self, operation: Operation) -> Hold | None:
        return await self._operator.hold(operation)

    def wake(self, apps: Iterable[str]) -> None:
        for app in apps:
            self.dispatcher.wake(app)
        self._look.set()

    def operate(self) -> None:
        self._operator.begun()

    def running_by(self, app: str) -> Counter[str]:
        runners = self.dispatcher.accounts.runners(app)
        return Counter(one.claim.request.caller for runner in runners for one in runner.running.values())

    async def open_session(self, request: NewRequest, waiting: Callable[[int], None]) -> Channel:
        return await self.sessions.open(self._foreseen(request), waiting)

    def _foreseen(self, request: NewRequest) -> NewRequest:
        """With what it costs, and what is expected of it now."""
        cost = cost_of_input(self.infos.get(request.app), request.path, request.input)
        expected, said = self.dispatcher.forecasts.of_new(
            request.app, request.path, cost, request.priority, request.caller, request.submitted_at
        )
        if (cost, expected, said) == (request.cost, request.expected, request.said):
            return request
        return replace(request, cost=cost, expected=expected, said=said)

    # ---- the links

    def _accept(self) -> SocketLink:
        return SocketLink(self._received, self._lost)

    def _lost(self, link: SocketLink) -> None:
        self._links.discard(link)
        if (transfers := self._transfers.pop(link, None)) is not None:
            transfers.close()
        runner = link.owner
        if isinstance(runner, Runner) and runner.link is link:
            self.supervisor.link_lost(runner)

    def _received(self, link: SocketLink, received: list[frames.FromRunner]) -> None:
        for frame in received:
            runner = link.owner
            if isinstance(runner, Runner):
                runner.last_heard = self._clock.monotonic()
                self._frame(link, runner, frame)
            elif isinstance(frame, frames.Hello):
                self._greet(link, frame)
            else:
                raise ValueError(f"{type(frame).__name__} before Hello")

    def _greet(self, link: SocketLink, hello: frames.Hello) -> None:
        if not hmac.compare_digest(hello.token.encode(), token_of(self._secret, hello.runner_id, hello.app).encode()):
            raise ValueError("a runner with a wrong token")
        if hello.version != frames.VERSION:
            raise ValueError(f"a runner that speaks version {hello.version}, not {frames.VERSION}")
        runner = self.supervisor.greeted(hello.runner_id, hello.app, hello.pid, dict(hello.running))
        if runner is None:
            raise ValueError(f"runner {hello.runner_id} is none of ours")
        link.owner = runner
        runner.link = link
        runner.last_heard = self._clock.monotonic()
        self._links.add(link)
        if token := self._token(runner.app):
            # It may have outlived a gateway, and its token.
            link.send_later(frames.Credentials(token))
        self._transfers[link] = Transfers(link, self._files)
        settings = self._settings
        link.send(
            frames.Welcome(
                version=frames.VERSION,
                heartbeat=settings.heartbeat,
                lease=settings.lease,
                reconnect=settings.reconnect,
                cancel_grace=settings.cancel_grace,
                own_hosts=self._own_hosts,
                allow_private_urls=settings.allow_private_urls,
                max_file_bytes=settings.max_file_bytes,
                max_log_line=settings.max_log_line,
                max_log_entries=settings.max_log_entries,
                chunk_buffer_bytes=settings.chunk_buffer_bytes,
                session_idle=settings.session_idle,
                session_buffer=settings.session_buffer,
                session_buffer_bytes=settings.session_buffer_bytes,
                fetch_timeout=settings.fetch_timeout,
                fetch_max_bytes=settings.fetch_max_bytes,
                fetch_cache_bytes=settings.fetch_cache_bytes,
                max_image_pixels=settings.max_image_pixels,
                max_image_bytes=settings.max_image_bytes,
            )
        )

    def _frame(self, link: SocketLink, runner: Runner, frame: frames.FromRunner) -> None:
        """The other end of every frame of a runner: each goes to the method that bears its name."""
        match frame:
            case frames.Finished():
                self.dispatcher.finished(runner, frame)
            case frames.Entries():
                self.dispatcher.entries(runner, frame)
            case frames.Preview():
                self._previews.preview(runner, frame)
            case frames.Heartbeat():
                runner.heartbeat(frame)
            case frames.SessionMessage():
                self._channels.session_message(frame)
            case frames.SessionClose():
                self._channels.session_close(frame)
            case frames.FilePut():
                running = runner.running.get(frame.request_id)
                request = running.claim.request if running else None
                base_url = request.base_url if request else ""
                self._transfers[link].file_put(frame, base_url, request.caller if request else "")
            case frames.FileGet():
                running = runner.running.get(frame.request_id)
                self._transfers[link].file_get(frame, running.claim.request.caller if running else None)
            case frames.FileSlice():
                self._transfers[link].file_slice(frame)
            case frames.FileMore():
                self._transfers[link].file_more(frame)
            case frames.Ready():
                self.supervisor.ready(runner, frame)
            case frames.SetupFailed():
                self.supervisor.setup_failed(runner, frame)
            case frames.Poisoned():
                self.dispatcher.poisoned(runner, frame)
            case frames.RunnerLog():
                self._runner_logs.runner_log(runner.app, runner.id, frame.entries)
            case frames.Hello():
                raise ValueError("a second Hello")
