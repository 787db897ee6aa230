"""The composition root: settings in, everything wired, one task group, an ordered stop.

Services start in the order of `Server.open` and stop in the reverse: the gateway stops taking calls, the fleet drains,
what was decided is committed, deliveries stop, the database closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import os
import resource
import signal
import socket
import ssl
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from pondage import __version__
from pondage.allocation import reuse_buffers, trim
from pondage.clock import Clock, SystemClock
from pondage.database.folder import is_new, refuse_lost, refuse_open, secret
from pondage.database.keys import KeyStore
from pondage.database.sqlite import SqliteDatabase
from pondage.errors import DatabaseLost, PondageError, SetupError
from pondage.fleet.discover import AppSource, discover
from pondage.fleet.fleet import LocalFleet
from pondage.fleet.placement import gpu_devices
from pondage.fleet.reload import watch_sources
from pondage.health import Health
from pondage.processes import become_subreaper
from pondage.queue.news import News
from pondage.queue.sqlite import SqliteQueue
from pondage.settings import Settings
from pondage.steady import Services
from pondage.telemetry import LineFile
from pondage.tls import Reloading, with_certificate
from pondage.wire.masking import masked

if TYPE_CHECKING:
    import uvicorn

    from pondage.files.service import FilesService
    from pondage.gateway.audit import Audit
    from pondage.gateway.crowd import Crowd
    from pondage.webhooks.service import Webhooks

log = logging.getLogger("pondage.server")

_BACKLOG = 4096
_GC_THRESHOLD = 10_000
"""New objects between two runs of the cycle collector; the default of 700 costs a busy gateway some percent."""
_KEYS_INTERVAL = 1.0
"""How often keys that another process made or revoked are looked for."""
_CERTIFICATE_INTERVAL = 60.0
"""How often a renewed certificate is looked for."""
_HTTP_GRACE = 5.0
"""Time that answers under way get after everything else has stopped."""


class GatewayNote(msgspec.Struct, frozen=True):
    """What `<data>/gateway.json` says of the gateway that runs on this folder."""

    pid: int
    url: str
    version: str


class Server:
    """One gateway with everything behind it."""

    def __init__(
        self,
        settings: Settings,
        targets: list[str],
        *,
        reload: bool = False,
        clock: Clock | None = None,
        alone: bool = False,
    ) -> None:
        """`alone`: nothing but this server runs in its process, which may inherit what runners leave behind."""
        self._alone = alone
        self.settings = settings
        self._targets = targets
        self._reload = reload
        self._clock = clock or SystemClock()
        self._sources: list[AppSource] = []
        self.news = News()
        self.url = ""
        self.port = 0
        self.first_key = ""
        """The key that this start has made, because one was needed and there was none; shown once."""
        self.why_keys = ""
        """What lets others in than this machine's programs, so that calls need a key; empty if nothing does."""
        self.hurry = asyncio.Event()
        """Set it to end the drain at once."""
        self._closing = asyncio.Event()
        """Set when the drain is over: streams that still follow something break off, and their callers come back."""
        self.services = Services()
        self._rooms = contextlib.AsyncExitStack()
        """What `open` has opened, to be closed in the reverse order."""

    async def open(self) -> None:
        """Take the port and the data folder, start the first runners, answer.

        Raises:
            SetupError: a port in use, a data folder in use, a database that cannot be used, an app that is not there.
        """
        settings = self.settings = with_certificate(self.settings)
        self._socket = _listen(settings)
        self.port = self._socket.getsockname()[1]
        scheme = "https" if settings.tls_cert else "http"
        host = "127.0.0.1" if settings.host in {"0.0.0.0", "::", ""} else settings.host  # noqa: S104 - compared only
        self.url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"
        try:
            await self._open_rooms(Path(settings.data), host)
        except BaseException as error:
            self._socket.close()
            await self._rooms.aclose()
            if isinstance(error, OSError):
                where = error.filename or settings.data
                raise SetupError(f"cannot use the data folder {settings.data}: {error.strerror} ({where})") from error
            raise

    async def _open_rooms(self, data: Path, host: str) -> None:
        from pondage.gateway.address import why_keys
        from pondage.gateway.app_tokens import AppTokens

        settings, clock = self.settings, self._clock
        self.why_keys = why_keys(settings)
        closing = self._rooms.push_async_callback
        await self._refuse_lost(data)
        self.database = await SqliteDatabase.open(data, clock)
        closing(self.database.close)
        self.queue = await SqliteQueue.open(self.database, clock, settings, self.news)
        closing(self.queue.close)
        self.keys = await KeyStore.open(self.database, clock, data)
        await asyncio.to_thread(refuse_open, data, keys=self.keys.any)
        self._sources = [source for target in self._targets for source in await discover(target, settings.owner)]
        _check_names(self._sources)
        self.files = await self._open_files()
        closing(self.files.close)
        own_hosts = sorted({f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]", host)})
        if domain := settings.domain:
            own_hosts += [at for name in (domain, f"files.{domain}") for at in (name, f"{name}:{self.port}")]
        own_hosts += [name for name in (urlsplit(settings.public_url).netloc,) if name]
        self.fleet = LocalFleet(
            self.queue,
            self.news,
            self.files,
            clock,
            settings,
            own_hosts=own_hosts,
            secret=secret(data / "runner.token").hex(),
            url=self.url,
            token=AppTokens(secret(data / "token.secret"), clock, settings.token_max_age).of,
            orphans=self._alone and become_subreaper(),
        )
        closing(self.fleet.close)
        await self.fleet.open(data / "runners", self._sources, gpu_devices())
        # From here on the runners set up; our own slower imports happen meanwhile.
        self.webhooks = await self._open_webhooks()
        closing(self.webhooks.close)
        self.health = Health(settings, clock, self.database, self.news, self.services, self.files.probe)
        self.audit = self._open_audit()
        self.http = self._http(data)
        await self._make_first_key()
        _note(data, GatewayNote(os.getpid(), self.url, __version__))

    async def _refuse_lost(self, data: Path) -> None:
        """Stop before a new database is made beside files that the old one told of.

        Raises:
            DatabaseLost, KeysLost
        """
        files = self.settings.files
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

    def is_open(self) -> bool:
        """Whether this machine's programs may call without a key: while there is none, and nobody else is let in."""
        return not self.keys.any and not self.why_keys

    async def _make_first_key(self) -> None:
        """A key for an operator where others than this machine's programs may call and there is none."""
        if not self.keys.any and self.why_keys:
            self.first_key = ":".join(await self.keys.create("made at the first start", scopes=("admin",)))

    async def _open_files(self) -> FilesService:
        from pondage.files.service import FilesService

        return await FilesService.open(self.settings, self.database, self._clock, referenced=self.queue.referenced)

    async def _open_webhooks(self) -> Webhooks:
        from pondage.webhooks.service import Webhooks

        return await Webhooks.open(
            self.settings,
            self.database,
            self.queue,
            self.news,
            self._clock,
            is_open=self.is_open,
        )

    def _open_audit(self) -> Audit:
        from pondage.gateway.audit import Audit

        access: LineFile | None = None
        if path := self.settings.access_log:
            try:
                access = LineFile(path)
            except OSError as error:
                raise SetupError(f"access_log {path} cannot be written: {error.strerror}") from error
            self._rooms.push_async_callback(asyncio.to_thread, access.close)
        return Audit(self.settings, self._clock, access)

    def _http(self, data: Path) -> uvicorn.Server:
        from pondage.gateway.access import Access
        from pondage.gateway.app import Gateway
        from pondage.gateway.call import Rooms
        from pondage.gateway.crowd import Crowd

        settings = self.settings
        access = Access(
            self.keys,
            self._clock,
            is_open=self.is_open,
            token_secret=secret(data / "token.secret"),
            token_max_age=settings.token_max_age,
        )
        crowd = Crowd(settings, _openable() * 3 // 4)
        rooms = Rooms(
            settings=settings,
            clock=self._clock,
            queue=self.queue,
            fleet=self.fleet,
            files=self.files,
            uploads=self.files,
            webhooks=self.webhooks,
            access=access,
            keys=self.keys,
            health=self.health,
            budget=crowd.budget,
            closing=self._closing,
            answered=Counter(),
            sessions=Counter(),
            live={},
        )
        return _uvicorn(settings, Gateway(rooms, self.audit), self.audit, crowd)

    async def run(self, stop: asyncio.Event, ready: Callable[[Server], None] | None = None) -> None:
        """Serve until `stop`, then drain: running requests finish within the grace period or go back to the queue."""
        services: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "the fleet": self.fleet.run,
            "the sweep": self._sweep,
            "the look at the keys": self._refresh_keys,
            "the sweep of the files": self.files.sweep,
            "the webhook sender": self.webhooks.run,
            "the look at the disk": self.health.watch_disk,
            "the look at the store of files": self.health.watch_files,
            "the look at freed memory": trim,
        }
        if self._reload:
            services["--reload"] = partial(watch_sources, self._sources, self.fleet.supervisor.serve)
        if self.http.config.ssl is not None:
            services["the look at the certificate"] = partial(self._refresh_certificate, self.http.config.ssl)
        http = asyncio.create_task(self.http.serve(sockets=[self._socket]), name="http")
        tasks = [asyncio.create_task(self.services.keep(*service), name=service[0]) for service in services.items()]
        try:
            while not self.http.started and not http.done():
                await asyncio.sleep(0.005)
            if ready is not None and not http.done():
                ready(self)
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait([stopping, http], return_when=asyncio.FIRST_COMPLETED)
            if http.done():
                http.result()
        finally:
            await self._stop(http, tasks)

    async def _stop(self, http: asyncio.Task[None], tasks: list[asyncio.Task[None]]) -> None:
        # Answers that wait for running requests still get them; new connections are refused.
        for server in self.http.servers:
            server.close()
        try:
            await self.fleet.stop(self.settings.grace, self.hurry)
        except Exception as error:
            # Whatever failed: answers still end, and what was decided is still committed.
            log.error("the runners did not stop in order: %s", error, exc_info=error)
        self._closing.set()
        self.http.should_exit = True
        await asyncio.wait([http], timeout=_HTTP_GRACE + 1)
        for task in (http, *tasks):
            task.cancel()
        await asyncio.gather(http, *tasks, return_exceptions=True)
        await self._rooms.aclose()
        with contextlib.suppress(OSError):
            (Path(self.settings.data) / "gateway.json").unlink()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self.settings.sweep_interval)
            try:
                await self.queue.sweep()
                await self.queue.counts.fold()
            except Exception as error:
                # A full disk or a damaged page: what can still be served is served, and the next round may do.
                log.error("sweep: %s", error, exc_info=None if isinstance(error, PondageError) else error)

    async def _refresh_certificate(self, context: ssl.SSLContext) -> None:
        reloading = Reloading(context, self.settings)
        while True:
            await asyncio.sleep(_CERTIFICATE_INTERVAL)
            try:
                if reloading.refresh():
                    log.info("the certificate %s has changed and is in use", self.settings.tls_cert)
            except SetupError as error:
                log.error("%s", error)

    async def _refresh_keys(self) -> None:
        while True:
            await asyncio.sleep(_KEYS_INTERVAL)
            before = self.keys.known()
            try:
                if await self.keys.refresh():
                    self._tell_of_keys(before)
            except Exception as error:
                log.error("the keys cannot be read again: %s", error)

    def _tell_of_keys(self, before: dict[str, bool]) -> None:
        for key_id, good in self.keys.known().items():
            if key_id not in before:
                self.audit.keys_changed(key_id, "was made")
            elif before[key_id] and not good:
                self.audit.keys_changed(key_id, "was revoked")


async def serve(
    settings: Settings,
    targets: list[str],
    *,
    reload: bool = False,
    clock: Clock | None = None,
    alone: bool = False,
    ready: Callable[[Server], None] | None = None,
    stopping: Callable[[Server, int], None] | None = None,
) -> int:
    """Serve until SIGINT or SIGTERM, then drain. A second signal leaves what runs to the next start.

    Args:
        clock: another clock than the system's.
        alone: this process is the server's alone: it inherits what its runners leave behind, and ends it.
        ready: called once the gateway answers; runners may still be setting up.
        stopping: called at the first signal, with the number of running requests.

    Returns:
        How many requests stay queued for the next start.

    Raises:
        SetupError: see `Server.open`.
    """
    server = Server(settings, targets, reload=reload, clock=clock, alone=alone)
    stop = asyncio.Event()

    def signalled() -> None:
        if stop.is_set():
            server.hurry.set()
            return
        stop.set()
        if stopping is not None:
            stopping(server, sum(len(runner.running) for runner in server.fleet.runners()))

    loop = asyncio.get_running_loop()
    _open_more(2 * settings.max_connections)
    await server.open()
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


@contextlib.asynccontextmanager
async def serving(settings: Settings, targets: list[str], *, clock: Clock | None = None) -> AsyncIterator[Server]:
    """A server within another program: it answers inside the block and has drained after it."""
    server = Server(settings, targets, clock=clock)
    await server.open()
    stop, up = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(server.run(stop, lambda _: up.set()))
    try:
        await asyncio.wait([running, asyncio.ensure_future(up.wait())], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        yield server
    finally:
        stop.set()
        await running


def _uvicorn(settings: Settings, app: Any, audit: Audit, crowd: Crowd) -> uvicorn.Server:
    import uvicorn

    from pondage.gateway.connection import connection_class
    from pondage.gateway.sockets import CallerSocket

    class Quiet(uvicorn.Server):
        """Signals are ours: a stop drains before connections close."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    config = uvicorn.Config(
        app,
        http=connection_class(settings, crowd, audit),
        ws=CallerSocket,
        ws_per_message_deflate=False,
        ws_ping_interval=settings.session_ping,
        ws_ping_timeout=settings.session_ping,
        ws_max_size=settings.session_max_message + 1024,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        # In every answer. What a file or an output claims to be is what a browser takes it for.
        headers=[("pondage-version", __version__), ("x-content-type-options", "nosniff")],
        backlog=_BACKLOG,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=int(_HTTP_GRACE),
        ssl_certfile=settings.tls_cert or None,
        ssl_keyfile=settings.tls_key or None,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise SetupError(f"tls_cert {settings.tls_cert} and tls_key {settings.tls_key}: {error}") from error
    return Quiet(config)


def _openable() -> int:
    """How many files and sockets this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def _open_more(wanted: int) -> None:
    """Allow the process so many files and sockets, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _listen(settings: Settings) -> socket.socket:
    """The listening socket.

    Raises:
        SetupError: the address is no address of this machine, or taken.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's delay off only where it reads TCP.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
        listening.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listening.close()
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise SetupError(f"port {settings.port} is in use; choose another with --port, or 0 for any") from error
        raise SetupError(f"cannot listen on {settings.host} port {settings.port}: {error}") from error
    listening.setblocking(False)
    return listening


def _check_names(sources: list[AppSource]) -> None:
    seen: dict[str, str] = {}
    for source in sources:
        if source.name in seen:
            raise SetupError(
                f"{source.spec} and {seen[source.name]} are both named {source.name}; give one another name"
            )
        seen[source.name] = source.spec


def _note(data: Path, note: GatewayNote) -> None:
    path = data / "gateway.json"
    try:
        path.with_suffix(".new").write_bytes(msgspec.json.encode(note))
        path.with_suffix(".new").rename(path)
    except OSError as error:
        log.warning("%s says nothing of this gateway: %s", path, error)
