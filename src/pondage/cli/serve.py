"""`pondage serve`: the whole service on this machine."""

from __future__ import annotations

import argparse
import asyncio
import shlex
from typing import TYPE_CHECKING, Any

from pondage.cli import exits
from pondage.cli.hints import example_call, lan_url, server_flag
from pondage.loop import run_loop
from pondage.queue.news import Listener

if TYPE_CHECKING:
    from pondage.cli.terminal import Terminal
    from pondage.server import Server
    from pondage.wire.frames import AppInfo

HELP = "serve apps: the gateway, the queue and the runners"

FLAGS: dict[str, str] = {
    "host": "listen on this address (default 127.0.0.1); any but loopback turns auth on",
    "port": "listen on this TCP port (default 8000); 0 takes a free one",
    "data": "data folder (default ./pondage-data)",
    "files": "where uploads and outputs are stored (default DATA/files), or s3://bucket/prefix, gs://…, az://…",
    "owner": "owner of apps whose name has no owner (default local)",
    "domain": "also answer on DOMAIN, queue.DOMAIN and rest.DOMAIN; turns auth on",
    "public-url": "URL that callers use where a proxy stands in front; it may have a path, https://host/path",
    "cors": "web origins that may call, comma-separated; * for any, which turns auth on",
    "tls-cert": "serve https with this PEM certificate chain",
    "tls-key": "private key of --tls-cert, PEM",
    "grace": "at a stop, let running requests finish for this long (default 30s)",
    "access-log": "write a line for every call to this file, - for standard output, stderr, or none",
    "retention": "keep finished requests for this long (default 7d)",
}
"""Flags that are settings; any other setting is given with --set."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("apps", nargs="+", metavar="APP", help="app.py, app.py:Class or package.module:Class")
    for flag, text in FLAGS.items():
        parser.add_argument(f"--{flag}", metavar=flag.upper().replace("-", "_"), help=text)
    parser.add_argument("--tls-dev", action="store_true", help="serve https with a certificate made on this machine")
    parser.add_argument("--reload", action="store_true", help="reload an app when its source changes")
    parser.add_argument("--config", metavar="FILE", help="read settings from this TOML file (default ./pondage.toml)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="settings",
        help="set any setting of docs/settings.md; repeatable",
    )  # fmt: skip
    parser.add_argument("--log-json", action="store_true", help="log as JSON lines, every call among them")


def run(args: argparse.Namespace) -> int:
    from pathlib import Path

    from msgspec.structs import replace

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
    if args.log_json and not args.quiet and not settings.access_log:
        settings = replace(settings, access_log="stderr")
    if args.verbose:
        for name, source in sources.items():
            if source != "default":
                value = getattr(settings, name)
                terminal.detail(f"  {name} = {masked(value) if isinstance(value, str) else value!r}  ({source})")

    from pondage.server import serve

    screen = ServeOutput(terminal, args)
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


class ServeOutput(Listener):
    """What `serve` shows: what is served and how to call it, one line per finished request, the drain."""

    _MOST_LINES = 20
    """Finished requests that are shown one by one in each `_PAUSE`; beyond it they are counted."""
    _PAUSE = 1.0

    def __init__(self, terminal: Terminal, args: argparse.Namespace) -> None:
        self._terminal = terminal
        self._json = bool(args.json)
        self._tasks: set[asyncio.Task[None]] = set()
        self._finished: list[str] = []
        self._shown_calls: set[str] = set()
        self._flag = ""
        self._more = 0
        self._woken = asyncio.Event()

    # ---- start

    def ready(self, server: Server) -> None:
        """The gateway answers."""
        self._flag = server_flag(server)
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
            say(f"  Pages  {here}: pondage open --data {shlex.quote(settings.data)}")
        if (lan := lan_url(server)) and not settings.public_url:
            say(f"  LAN    {lan}          other machines: --server {lan}, or PONDAGE_URL={lan}")
        self._who_may_call(server)
        from pondage.webhooks.targets import start_line

        say(f"  Hooks  {start_line(settings, open_server=server.is_open())}")
        for name in server.fleet.app_names():
            if _served(server, name):
                say(f"  {name}   setting up")
        say(f"  Env    fal's clients, unmodified: pondage env --client js{self._flag}")

    def _who_may_call(self, server: Server) -> None:
        """Whether a key is asked for, and how to get one; the key that this start made, also with -q."""
        data = shlex.quote(server.settings.data)
        if server.first_key:
            self._terminal.complain(f"  Auth   on, because {server.why_keys}. Your admin key, shown only now:")
            self._terminal.complain(f"    export PONDAGE_KEY={server.first_key}")
            self._terminal.complain(f"    keys for others: pondage keys create NAME --data {data}")
        elif server.is_open():
            make = f"pondage keys create NAME --scopes admin --data {data}"
            self._terminal.say(f"  Auth   off: any program on this machine can call. Turn it on: {make}")
        else:
            self._terminal.say("  Auth   on: every call needs a key: export PONDAGE_KEY=id:secret")

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
                self._terminal.say("  Auth   on from now on: every call needs a key: export PONDAGE_KEY=id:secret")
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
                    self._app_line(name, "ready", f"in {took}, {runners}")
                    self._show_call(name, server.fleet.infos.get(name))
            await asyncio.sleep(0.02 if waiting else 1.0)

    def _show_call(self, name: str, info: AppInfo | None) -> None:
        """How to call an app, once it is known what it takes."""
        if info is not None and name not in self._shown_calls and not self._json:
            self._shown_calls.add(name)
            self._terminal.say(f"    call it: {example_call(name, info)}{self._flag}")

    def _app_line(self, name: str, event: str, text: str) -> None:
        if self._json:
            self._terminal.result_json({"event": event, "app": name, "text": text})
        elif event == "ready":
            self._terminal.say(f"  {name}   {self._terminal.paint('ready', 'green')} {text}")
        else:
            # The reason with its traceback is in the log, on the same screen.
            what = "its requests wait, and say why" if event == "fault" else "the code from before runs on"
            self._terminal.say(f"  {name}   {self._terminal.paint('cannot run', 'red')}; {what}")
            self._terminal.say(
                f"    Pondage tries again by itself. Its output: pondage runners logs {name}{self._flag}"
            )

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
