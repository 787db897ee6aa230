"""The composition root: settings in, everything wired, one task group, an ordered stop.

`Server.open` builds the rooms and declares the services in one list; they start in its order and stop in the reverse:
the gateway takes no more calls, the fleet drains, answers end, upkeep and deliveries stop, the database closes.

Longer than modules are here: whoever asks what knows what, and in which order it starts and stops, reads one file.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pondage import __version__
from pondage.allocation import reuse_buffers, trim
from pondage.clock import Clock, SystemClock
from pondage.database.folder import GatewayNote, forget_gateway, is_new, note_gateway, refuse_lost, refuse_open, secret
from pondage.database.page_sessions import PageSessions
from pondage.database.sqlite import SqliteDatabase
from pondage.errors import DatabaseLost, SetupError
from pondage.files.lifecycle import INTERVAL as SWEEP_INTERVAL
from pondage.fleet.discover import AppSource, discover_all
from pondage.fleet.fleet import LocalFleet
from pondage.fleet.placement import gpu_devices
from pondage.fleet.reload import watch_sources
from pondage.gateway.address import own_hosts, own_url, why_keys
from pondage.gateway.app_tokens import APP
from pondage.gateway.connections.port import listen, open_more, openable
from pondage.health import Health
from pondage.keys import KeyStore
from pondage.processes import become_subreaper, heed_children
from pondage.queue.news import News
from pondage.queue.sqlite import SqliteQueue
from pondage.services import Every, Room, Services, Work
from pondage.settings import Settings
from pondage.telemetry import LineFile
from pondage.tls import Certificate, with_certificate
from pondage.wire.masking import masked

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from pondage.files.interface import Files
    from pondage.files.service import FilesService
    from pondage.gateway.audit import Audit
    from pondage.gateway.connections.server import HttpServer
    from pondage.tracing import Traces
    from pondage.webhooks.service import Webhooks

log = logging.getLogger("pondage.server")

_GC_THRESHOLD = 10_000
"""New objects between two runs of the cycle collector; the default of 700 costs a busy gateway some percent."""
_KEYS_INTERVAL = 1.0
"""How often keys that another process made or revoked are looked for."""
_KEY_USES_INTERVAL = 60.0
"""How often it is written down when keys were used last, and from where."""
_CERTIFICATE_INTERVAL = 60.0
"""How often a renewed certificate is looked for."""


@dataclass(eq=False)
class Server:
    """One gateway with everything behind it. Made by `open`; then `run`, once."""

    settings: Settings
    news: News
    services: Services
    """In the order in which they start."""
    database: SqliteDatabase
    queue: SqliteQueue
    keys: KeyStore
    page_sessions: PageSessions
    files: FilesService
    fleet: LocalFleet
    webhooks: Webhooks
    health: Health
    audit: Audit
    http: HttpServer
    url: str
    port: int
    hurry: asyncio.Event
    """Set it to end the drain at once."""
    first_key: str
    """The key that this start has made, because one was needed and there was none; shown once."""
    sign_in: str
    """The secret of a link that signs in once on the pages; empty where keys are not required."""
    why_keys: str
    """What lets others in than this machine's programs, so that calls need a key; empty if nothing does."""

    @staticmethod
    async def open(
        settings: Settings,
        targets: list[str],
        *,
        reload: bool = False,
        clock: Clock | None = None,
        alone: bool = False,
        sources: Mapping[str, str] | None = None,
    ) -> Server:
        """Take the port and the data folder, start the first runners, get ready to answer.

        Args:
            reload: start an app again whose files have changed.
            clock: another clock than the system's.
            alone: nothing but this server runs in its process, which may inherit what runners leave behind.
            sources: where each setting comes from, for who asks.

        Raises:
            SetupError: a port in use, a data folder in use, a database that cannot be used, an app that is not there.
        """
        settings, services = with_certificate(settings), Services()
        opening = _Opening(settings, services, clock or SystemClock(), reload=reload, alone=alone, said=sources or {})
        try:
            return await opening.open(targets)
        except BaseException as error:
            await services.stop()
            if isinstance(error, OSError):
                where = error.filename or settings.data
                raise SetupError(f"cannot use the data folder {settings.data}: {error.strerror} ({where})") from error
            raise

    def is_open(self) -> bool:
        """Whether this machine's programs may call without a key: while there is none, and nobody else is let in."""
        return _is_open(self.keys, self.why_keys)

    async def sweep(self) -> None:
        """Expire start limits, let scheduled requests go, apply retention, fold what was counted."""
        swept = await self.queue.sweep()
        if swept.released:
            self.fleet.wake(swept.released)
        await self.queue.counts.fold()

    async def look_at_keys(self) -> None:
        """Learn of keys that another process made or revoked; what is open of one that has ended, ends with it."""
        before = self.keys.known()
        if await self.keys.refresh():
            self.audit.keys_changed(before, self.keys.known())
        self.http.crowd.end_of(self._is_good)

    def _is_good(self, caller: str) -> bool:
        """Whether a caller may still be here: a good key, an app of ours, or anybody where no key was asked for."""
        return not caller or caller.startswith(APP) or self.keys.get(caller) is not None

    async def run(self, stop: asyncio.Event, ready: Callable[[Server], None] | None = None) -> None:
        """Serve until `stop`, then drain: running requests finish within the grace period or go back to the queue."""
        async with asyncio.TaskGroup() as group:
            self.services.start(group)
            try:
                await self.http.started()
                if ready is not None and not self.services.over:
                    ready(self)
                await self.services.wait(stop)
            finally:
                await self.services.stop()
                forget_gateway(Path(self.settings.data))
        if self.services.failure is not None:
            raise self.services.failure


class _Opening:
    """Builds a server, room by room. What must be closed is declared as soon as it is open."""

    def __init__(
        self,
        settings: Settings,
        services: Services,
        clock: Clock,
        *,
        reload: bool,
        alone: bool,
        said: Mapping[str, str],
    ) -> None:
        """`said`: where each setting comes from."""
        self._said = said
        self._settings = settings
        self._services = services
        self._clock = clock
        self._reload = reload
        self._alone = alone
        self._data = Path(settings.data)
        self._news = News()
        self._closing = asyncio.Event()
        self._hurry = asyncio.Event()

    async def open(self, targets: list[str]) -> Server:
        settings, services, clock, data = self._settings, self._services, self._clock, self._data
        port = listen(settings)
        services.add("the port", Room(port.close))
        number = port.getsockname()[1]
        url, why = own_url(settings, number), why_keys(settings)
        await self._refuse_lost()
        database = await SqliteDatabase.open(data, clock)
        services.add("the database", Room(database.close))
        queue = await SqliteQueue.open(database, clock, settings, self._news)
        services.add("the queue", Room(queue.close))
        keys = await KeyStore.open(database, clock, data)
        services.add("the last uses of the keys", Room(keys.write_uses))
        page_sessions = await PageSessions.open(database, clock)
        traces = await self._open_traces(queue)
        is_open = partial(_is_open, keys, why)
        await asyncio.to_thread(refuse_open, data, keys=keys.any)
        sources = await discover_all(targets, settings.owner)
        files = await self._open_files(database, queue)
        services.add("the store of files", Room(files.close))
        fleet = self._fleet(queue, files if traces is None else traces.of(files), url, own_hosts(settings, number))
        services.add("the links to the runners", Room(fleet.close))
        for request_id in await queue.interrupted(settings.resume_window):
            await queue.cancel(request_id)  # its caller's connection ended with the gateway before
        await fleet.open(data / "runners", sources, gpu_devices())
        # From here on the runners set up; our own slower imports happen meanwhile.
        webhooks = await self._open_webhooks(database, queue, is_open, traces)
        services.add("the connections to receivers", Room(webhooks.close))
        audit = self._open_audit()
        health = Health(settings, clock, database, self._news, services, files.probe)
        http = self._http(port, queue, fleet, files, webhooks, keys, page_sessions, health, audit, is_open, traces)
        first_key = ""
        if not keys.any and why:
            first_key = ":".join(await keys.create("made at the first start", scopes=("admin",)))
        sign_in = "" if is_open() else await page_sessions.link()
        note_gateway(data, GatewayNote(os.getpid(), url, __version__))
        server = Server(
            settings=settings, news=self._news, services=services, database=database, queue=queue, keys=keys,
            page_sessions=page_sessions, files=files, fleet=fleet, webhooks=webhooks, health=health, audit=audit,
            http=http, url=url, port=number, hurry=self._hurry, first_key=first_key, sign_in=sign_in, why_keys=why,
        )  # fmt: skip
        self._declare(server, sources)
        return server

    def _declare(self, server: Server, sources: list[AppSource]) -> None:
        """What runs. It stops from the last line to the first, then the rooms close, the last opened first."""
        settings, add = self._settings, self._services.add
        add("the webhook sender", Work(server.webhooks.run))
        add("the sweep", Every(settings.sweep_interval, server.sweep))
        add("the sweep of the files", Every(SWEEP_INTERVAL, server.files.sweep, at_once=True))
        add("the look at the keys", Every(_KEYS_INTERVAL, server.look_at_keys))
        add("the note of who uses keys", Every(_KEY_USES_INTERVAL, server.keys.write_uses))
        add("the look at the disk", Work(server.health.watch_disk))
        add("the look at the store of files", Work(server.health.watch_files))
        add("the look at freed memory", Work(trim))
        if self._reload:
            add("--reload", Work(partial(watch_sources, sources, server.fleet.supervisor.serve)))
        if server.http.tls is not None:
            certificate = Certificate(server.http.tls, settings)
            add("the look at the certificate", Every(_CERTIFICATE_INTERVAL, certificate.look, at_once=True))
        add("the gateway", server.http, ends_server=True)
        add("who waits for answers", Room(self._let_go))
        add("the fleet", server.fleet)
        add("the door", Room(server.http.refuse))

    def _let_go(self) -> None:
        """The drain is over: who follows something, or waits for it still, hears that it goes on after the restart."""
        self._closing.set()
        self._news.let_go()

    async def _refuse_lost(self) -> None:
        """Stop before a new database is made beside files that the old one told of.

        Raises:
            DatabaseLost, KeysLost
        """
        files, data = self._settings.files, self._data
        await asyncio.to_thread(refuse_lost, data, "" if "://" in files else files)
        if not await asyncio.to_thread(is_new, data):
            return
        await asyncio.to_thread(refuse_open, data, keys=False)
        if "://" in files:
            from pondage.files.objects import ObjectBlobs

            if await ObjectBlobs.holds_files(files):
                raise DatabaseLost(
                    f"{data} holds no database, but {masked(files)} holds files: they are another data folder's, or "
                    "this one's database was lost, and without it they would be deleted. Restore a backup (pondage "
                    "restore BACKUP --data NEW), or name another bucket or prefix"
                )

    async def _open_files(self, database: SqliteDatabase, queue: SqliteQueue) -> FilesService:
        from pondage.files.service import FilesService

        return await FilesService.open(self._settings, database, self._clock, referenced=queue.referenced)

    def _fleet(self, queue: SqliteQueue, files: Files, url: str, own_hosts: list[str]) -> LocalFleet:
        from pondage.gateway.app_tokens import AppTokens

        settings, clock, data = self._settings, self._clock, self._data
        if self._alone:
            heed_children()
        return LocalFleet(
            queue, self._news, files, clock, settings,
            own_hosts=own_hosts,
            secret=secret(data / "runner.token").hex(),
            url=url,
            token=AppTokens(secret(data / "token.secret"), clock, settings.token_max_age).of,
            orphans=self._alone and become_subreaper(),
            hurry=self._hurry,
        )  # fmt: skip

    async def _open_webhooks(
        self, database: SqliteDatabase, queue: SqliteQueue, is_open: Callable[[], bool], traces: Traces | None
    ) -> Webhooks:
        from pondage.webhooks.service import Webhooks

        return await Webhooks.open(
            self._settings, database, queue, self._news, self._clock, is_open=is_open, traces=traces
        )

    async def _open_traces(self, queue: SqliteQueue) -> Traces | None:
        """Where traces go, if anywhere. Its libraries are loaded only then."""
        if not self._settings.traces:
            return None
        from pondage import tracer, tracing

        made = await asyncio.to_thread(tracer.open_tracer, self._settings.traces)
        traces = tracing.Traces(made, queue, self._clock)
        self._services.add("the traces", traces)
        self._news.listen(traces)
        return traces

    def _open_audit(self) -> Audit:
        from pondage.gateway.audit import Audit

        access: LineFile | None = None
        if (path := self._settings.access_log) not in {"", "none"}:
            try:
                access = LineFile(path)
            except OSError as error:
                raise SetupError(f"access_log {path} cannot be written: {error.strerror}") from error
            self._services.add("the access log", Room(partial(asyncio.to_thread, access.close)))
        return Audit(self._settings, self._clock, access)

    def _http(
        self,
        port: socket.socket,
        queue: SqliteQueue,
        fleet: LocalFleet,
        files: FilesService,
        webhooks: Webhooks,
        keys: KeyStore,
        page_sessions: PageSessions,
        health: Health,
        audit: Audit,
        is_open: Callable[[], bool],
        traces: Traces | None,
    ) -> HttpServer:
        from pondage.gateway.access import Access
        from pondage.gateway.app import CALL, Gateway
        from pondage.gateway.call import Rooms
        from pondage.gateway.connections.server import HttpServer
        from pondage.gateway.crowd import Crowd

        settings, clock = self._settings, self._clock
        crowd = Crowd(settings, openable() * 3 // 4)
        token_secret = secret(self._data / "token.secret")
        rooms = Rooms(
            settings=settings,
            clock=clock,
            queue=queue,
            fleet=fleet,
            files=files,
            uploads=files,
            webhooks=webhooks,
            access=Access(
                keys, clock, is_open=is_open, token_secret=token_secret, token_max_age=settings.token_max_age
            ),
            keys=keys,
            health=health,
            budget=crowd.budget,
            closing=self._closing,
            answered=Counter(),
            sessions=Counter(),
            live={},
            setting_sources=self._said,
            page_sessions=page_sessions,
        )
        application: ASGIApp = Gateway(rooms, audit)
        if traces is not None:
            from pondage.gateway.traced import Traced

            application = Traced(application, traces, CALL)
        return HttpServer(application, settings, audit, crowd, port, self._closing)


async def serve(
    settings: Settings,
    targets: list[str],
    *,
    reload: bool = False,
    clock: Clock | None = None,
    alone: bool = False,
    sources: Mapping[str, str] | None = None,
    ready: Callable[[Server], None] | None = None,
    stopping: Callable[[Server, int], None] | None = None,
) -> int:
    """Serve until SIGINT or SIGTERM, then drain. A second signal leaves what runs to the next start.

    Args:
        clock: another clock than the system's.
        alone: this process is the server's alone: it inherits what its runners leave behind, and ends it.
        sources: where each setting comes from, for who asks.
        ready: called once the gateway answers; runners may still be setting up.
        stopping: called at the first signal, with the number of running requests.

    Returns:
        How many requests stay queued for the next start.

    Raises:
        SetupError: see `Server.open`.
    """
    open_more(2 * settings.max_connections)
    server = await Server.open(settings, targets, reload=reload, clock=clock, alone=alone, sources=sources)
    stop = asyncio.Event()

    def signalled() -> None:
        if stop.is_set():
            server.hurry.set()
            return
        stop.set()
        if stopping is not None:
            stopping(server, sum(len(runner.running) for runner in server.fleet.runners()))

    loop = asyncio.get_running_loop()
    reuse_buffers()
    # What is here now stays for good: the collector need not walk it again, nor look after every few hundred calls.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signalled)
    try:
        await server.run(stop, ready)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    return sum(server.queue.depth(name).queued for name in server.fleet.app_names())


def _is_open(keys: KeyStore, why: str) -> bool:
    return not keys.any and not why
