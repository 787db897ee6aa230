"""`pondage serve`: the whole service on this machine."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING, Any

from pondage.cli import exits
from pondage.loop import run_loop
from pondage.queue.news import Listener

if TYPE_CHECKING:
    from pondage.cli.terminal import Terminal
    from pondage.server import Server

HELP = "serve apps: the gateway, the queue and the runners"

FLAGS: dict[str, str] = {
    "host": "address to listen on (127.0.0.1); anything but loopback needs keys",
    "port": "TCP port (8000); 0 lets the system choose",
    "data": "data folder (./pondage-data)",
    "files": "where files live: a folder's place in the data folder, or s3://bucket/prefix, gs://…, az://…",
    "owner": "owner of apps whose name has none (local)",
    "domain": "domain whose queue., rest. and bare host names are ours; needs keys",
    "public-url": "origin that callers see, where a balancer rewrites Host",
    "cors": "origins that browsers may call from, comma separated; * for any, which needs keys",
    "tls-cert": "PEM certificate chain, for https",
    "tls-key": "PEM key of the certificate",
    "grace": "seconds that running requests get at a stop (30)",
    "access-log": "a line for every call: a file, or - for standard output",
    "retention": "seconds that a finished request is kept (604800)",
}
"""Flags that are settings; any other setting is given with --set."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("apps", nargs="+", metavar="APP", help="app.py, app.py:Class or package.module:Class")
    for flag, text in FLAGS.items():
        parser.add_argument(f"--{flag}", metavar=flag.upper().replace("-", "_"), help=text)
    parser.add_argument("--tls-dev", action="store_true", help="https with a certificate of a CA made on this machine")
    parser.add_argument("--reload", action="store_true", help="load an app again when its source changes")
    parser.add_argument("--config", metavar="FILE", help="a TOML file with settings (./pondage.toml)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="settings",
        help="any setting of docs/settings.md; may be repeated",
    )  # fmt: skip
    parser.add_argument("--log-json", action="store_true", help="log as JSON lines")


def run(args: argparse.Namespace) -> int:
    from pathlib import Path

    from pondage import telemetry
    from pondage.errors import SetupError
    from pondage.settings import load
    from pondage.wire.masking import masked

    terminal: Terminal = args.terminal
    telemetry.set_up("DEBUG" if args.verbose else "WARNING", json_lines=args.log_json or args.json)
    if args.log_json or args.json:
        terminal.into_log(telemetry.log.getChild("serve"))
    flags: dict[str, Any] = {flag.replace("-", "_"): getattr(args, flag.replace("-", "_")) for flag in FLAGS}
    for assignment in args.settings:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise SetupError(f"--set takes NAME=VALUE, got {assignment!r}")
        flags[name.strip().replace("-", "_")] = value
    flags["tls_dev"] = args.tls_dev or None
    settings, sources = load(flags, config=Path(args.config) if args.config else None)
    if args.verbose:
        for name, source in sources.items():
            if source != "default":
                value = getattr(settings, name)
                terminal.detail(f"  {name} = {masked(value) if isinstance(value, str) else value!r}  ({source})")

    from pondage.server import serve

    screen = Screen(terminal, args)
    work = serve(
        settings,
        args.apps,
        reload=args.reload,
        alone=True,
        sources=sources,
        ready=screen.ready,
        stopping=screen.stopping,
    )
    queued = run_loop(work)
    screen.stopped(queued)
    return exits.OK


class Screen(Listener):
    """What `serve` shows: what is served and how to call it, one line per finished request, the drain."""

    _MOST_LINES = 20
    """Finished requests that are shown one by one in each `_PAUSE`; beyond it they are counted."""
    _PAUSE = 1.0

    def __init__(self, terminal: Terminal, args: argparse.Namespace) -> None:
        self._terminal = terminal
        self._json = bool(args.json)
        self._tasks: set[asyncio.Task[None]] = set()
        self._finished: list[str] = []
        self._more = 0
        self._woken = asyncio.Event()

    # ---- start

    def ready(self, server: Server) -> None:
        """The gateway answers."""
        if self._json:
            self._terminal.result_json({"event": "listening", "url": server.url, "apps": server.fleet.app_names()})
            if server.first_key:
                made = {"event": "key", "key": server.first_key, "scopes": ["admin"], "why": server.why_keys}
                self._terminal.result_json(made)
        else:
            self._greet(server)
        server.news.listen(self)
        self._keep(self._watch_apps(server))
        self._keep(self._show_finished(server))

    def _keep(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _greet(self, server: Server) -> None:
        from pondage import __version__
        from pondage.wire.masking import masked

        say, settings = self._terminal.say, server.settings
        depths = [server.queue.depth(name) for name in server.fleet.app_names()]
        queued = sum(depth.queued for depth in depths)
        files = masked(settings.files) or f"{settings.data.rstrip('/')}/files"
        say(f"Pondage {__version__}   {server.url}   data {settings.data} (SQLite, {queued} queued)   files {files}")
        first = next(iter(name for name in server.fleet.app_names() if _served(server, name)), "owner/alias")
        where = "" if server.port == 8000 and server.url.startswith("http://127") else f" --server {server.url}"
        if settings.tls_dev:
            from pondage.tls import what_to_set

            say("  https with a certificate of this machine's own authority; clients need one of:")
            for line in what_to_set(settings):
                say(f"    {line}")
        public = settings.public_url.rstrip("/") or server.url
        watched = self._terminal.tty and server.sign_in
        if server.is_open():
            say(f"  Pages  {public}/ui/")
        else:
            # The link goes where a person reads it, never into a log.
            here = (
                f"{public}/ui/sign-in#{server.sign_in}   signs in once, within 5 minutes; another"
                if watched
                else f"{public}/ui/   a link that signs in"
            )
            say(f"  Pages  {here}: pondage open --data {settings.data}")
        self._who_may_call(server)
        from pondage.webhooks.targets import start_line

        say(f"  Hooks  {start_line(settings, open_server=server.is_open())}")
        for name in server.fleet.app_names():
            if _served(server, name):
                say(f"  {name}   setting up")
        say(f"  Call   pondage call {first} '{{…}}'{where}      fal clients, unmodified: pondage env --client js")

    def _who_may_call(self, server: Server) -> None:
        """Whether a key is asked for, and how to get one; the key that this start made, also with -q."""
        if server.first_key:
            make = f"pondage keys create NAME --data {server.settings.data}"
            self._terminal.complain(f"  Keys   every call needs one, because {server.why_keys}, and there was none:")
            self._terminal.complain(f"    {server.first_key}")
            self._terminal.complain(f"    an operator's, shown this once: PONDAGE_KEY=…   For others: {make}")
        elif server.is_open():
            make = f"pondage keys create NAME --scopes admin --data {server.settings.data}"
            self._terminal.say(f"  Keys   off: any program on this machine can call. Turn them on: {make}")
        else:
            self._terminal.say("  Keys   every call needs one: PONDAGE_KEY=id:secret")

    async def _watch_apps(self, server: Server) -> None:
        """Say of each app once that it is ready, and each new reason why it is not."""
        from pondage.cli.terminal import duration
        from pondage.webhooks.targets import start_line

        loop = asyncio.get_running_loop()
        began = dict.fromkeys(server.fleet.app_names(), loop.time())
        keys = server.keys.any
        waiting = {name for name in server.fleet.app_names() if _served(server, name)}
        told: dict[str, str | None] = {}
        while True:
            if server.keys.any and not keys and not self._json:
                self._terminal.say("  Keys   from now on every call needs one: PONDAGE_KEY=id:secret")
                self._terminal.say(f"  Hooks  {start_line(server.settings, open_server=False)}")
            keys = server.keys.any
            for name in server.fleet.app_names():
                app = server.fleet.app(name)
                if app is None or not _served(server, name):
                    continue
                if app.fault and told.get(name) != app.fault:
                    told[name] = app.fault
                    began[name] = loop.time()
                    self._app_line(name, "stale" if app.slots else "fault", app.fault)
                elif app.slots and not app.fault and (name in waiting or told.get(name)):
                    waiting.discard(name)
                    told[name] = None
                    took = duration(loop.time() - began.get(name, loop.time()))
                    ready = sum(one.app == name and one.state == "ready" for one in server.fleet.runners())
                    runners = f"{ready} runner" + ("" if ready == 1 else "s")
                    self._app_line(name, "ready", f"in {took}, {runners}   (pondage runners logs {name})")
            await asyncio.sleep(0.02 if waiting else 1.0)

    def _app_line(self, name: str, event: str, text: str) -> None:
        if self._json:
            self._terminal.result_json({"event": event, "app": name, "text": text})
        elif event == "ready":
            self._terminal.say(f"  {name}   {self._terminal.paint('ready', 'green')} {text}")
        else:
            # The reason with its traceback is in the log, on the same screen.
            what = "callers are queued and see why" if event == "fault" else "what ran before goes on serving"
            self._terminal.say(f"  {name}   {self._terminal.paint('cannot run', 'red')}; {what}")
            self._terminal.say(f"    it is tried again by itself; all it said: pondage runners logs {name}")

    # ---- finished requests

    def ended(self, request_id: str) -> None:
        if len(self._finished) < self._MOST_LINES:
            self._finished.append(request_id)
        else:
            self._more += 1
        self._woken.set()

    async def _show_finished(self, server: Server) -> None:
        loop = asyncio.get_running_loop()
        began, shown = loop.time(), 0
        while True:
            await self._woken.wait()
            self._woken.clear()
            if loop.time() - began >= self._PAUSE:
                began, shown = loop.time(), 0
            finished, self._finished = self._finished, []
            for request_id in finished:
                view = await server.queue.get(request_id)
                if view is not None:
                    self._finished_line(view)
            more, self._more = self._more, 0
            if more and not self._json:
                self._terminal.say(f"          and {more} more")
            shown += len(finished)
            if shown >= self._MOST_LINES:
                await asyncio.sleep(max(began + self._PAUSE - loop.time(), 0))

    def _finished_line(self, view: Any) -> None:
        from time import localtime, strftime

        from pondage.cli.terminal import duration, short

        if self._json:
            line = {"event": "finished", "request_id": view.id, "app": view.app, "outcome": view.outcome}
            self._terminal.result_json(line | {"error": view.error, "error_type": view.error_type})
            return
        outcome = str(view.outcome or "")
        style = {"ok": "green", "error": "red"}.get(outcome, "yellow")
        if view.error:
            text = f"{view.error_type}: {view.error}" if view.error_type else view.error
            end = text.replace("\n", " ")[:120]
        else:
            started = view.started_at or view.finished_at or view.submitted_at
            end = f"wait {duration(max(started - view.submitted_at, 0))}  run "
            end += duration(max((view.finished_at or started) - started, 0))
        endpoint = view.app + ("" if view.path == "/" else view.path)
        moment = strftime("%H:%M:%S", localtime(view.finished_at or view.submitted_at))
        painted = self._terminal.paint(f"{outcome:<9}", style)
        self._terminal.say(f"{moment}  {short(view.id)}  {endpoint}  {painted}  {end}")

    # ---- stop

    def stopping(self, server: Server, running: int) -> None:
        """The first Ctrl-C."""
        for task in self._tasks:
            task.cancel()
        if self._json:
            self._terminal.result_json({"event": "stopping", "running": running})
        elif running:
            grace = f"{server.settings.grace:g} s"
            text = f"{running} running: finishing, at most {grace} (again ^C: leave it to the next start)"
            self._terminal.say(f"  {text}")

    def stopped(self, queued: int) -> None:
        """Everything has ended."""
        if self._json:
            self._terminal.result_json({"event": "stopped", "queued": queued})
            return
        if queued == 0:
            tail = ""
        elif queued == 1:
            tail = " 1 request stays queued and runs at the next start."
        else:
            tail = f" {queued} requests stay queued and run at the next start."
        self._terminal.say(f"  stopped.{tail}")


def _served(server: Server, name: str) -> bool:
    app = server.fleet.app(name)
    return app is not None and app.served
