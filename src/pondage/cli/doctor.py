"""`pondage doctor`: looks at this machine, the settings, the data folder and the server, and says how to mend what is
wrong. It changes nothing."""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from pondage.cli import exits, reach
from pondage.cli.failures import SERVER_PACKAGES
from pondage.errors import ExtraMissing

if TYPE_CHECKING:
    from pondage.client.errors import ConnectionError
    from pondage.settings import Settings

HELP = "check the set-up: Python, packages, settings, disk, data folder, port, server, apps"

LEAST_DISK = 2 * 1024**3
"""Less free space than this on the data folder's disk is worth a warning."""
LEAST_DESCRIPTORS = 1024

_KEY = "give a key: --key id:secret, or PONDAGE_KEY; make one on its machine: pondage keys create NAME"

Verdict = Literal["ok", "warn", "fail"]


class Finding(NamedTuple):
    """One thing that was looked at, what was seen, and the way out where something is wrong."""

    what: str
    verdict: Verdict
    seen: str
    mend: str = ""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", help="data folder (./pondage-data)")
    parser.add_argument("--port", help="TCP port (8000)")
    parser.add_argument("--config", metavar="FILE", help="a TOML file with settings (./pondage.toml)")
    reach.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    findings = []
    for finding in examine(args):
        findings.append(finding)
        if not args.json:
            style = {"ok": "green", "warn": "yellow", "fail": "red"}[finding.verdict]
            word = args.terminal.paint(f"{finding.verdict:<4}", style)
            args.terminal.result(f"{word}  {finding.what:<12} {finding.seen}")
            if finding.mend:
                args.terminal.result(f"{'':18} {finding.mend}")
    bad = any(finding.verdict == "fail" for finding in findings)
    if args.json:
        args.terminal.result_json({"ok": not bad, "findings": [finding._asdict() for finding in findings]})
    return exits.FAILED if bad else exits.OK


def examine(args: argparse.Namespace) -> Iterator[Finding]:
    """Everything that is looked at, in order."""
    from pondage.errors import SetupError
    from pondage.settings import load

    yield _python()
    yield _packages()
    try:
        settings, _ = load({"data": args.data, "port": args.port}, config=Path(args.config) if args.config else None)
    except SetupError as error:
        yield Finding("settings", "fail", str(error), "docs/settings.md lists what fits")
        return
    yield Finding("settings", "ok", "all of them fit")
    yield _data(settings)
    yield _disk(settings)
    yield _descriptors()
    yield from _server(args, settings)


def _python() -> Finding:
    version = ".".join(str(number) for number in sys.version_info[:3])
    return Finding("python", "ok", f"{version} at {sys.executable}")


def _packages() -> Finding:
    from importlib.util import find_spec

    from pondage import __version__

    missing = [name for name in SERVER_PACKAGES if not find_spec(name)]
    if missing:
        seen = f"Pondage {__version__}, without {', '.join(missing)}"
        return Finding("packages", "warn", seen, str(ExtraMissing("serving apps", "server")))
    faster = "" if find_spec("uvloop") else ", without uvloop (slower)"
    return Finding("packages", "ok", f"Pondage {__version__}{faster}")


def _data(settings: Settings) -> Finding:
    folder = Path(settings.data)
    if not folder.exists():
        parent = folder.resolve().parent
        while not parent.exists():
            parent = parent.parent
        if not os.access(parent, os.W_OK):
            return Finding("data", "fail", f"{folder} cannot be made", f"allow writing in {parent}, or give --data")
        return Finding("data", "ok", f"{folder} will be made at the first start")
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding("data", "fail", f"{folder} cannot be written", "give it to this user, or give another --data")
    return _database(folder)


def _database(folder: Path) -> Finding:
    from pondage.cli.terminal import size

    path = folder / "pondage.db"
    if not path.is_file():
        return Finding("data", "ok", f"{folder} is empty")
    try:
        from pondage.database.backup import verify
        from pondage.errors import PondageError
    except ModuleNotFoundError:
        return Finding("data", "warn", f"{path} was not checked", str(ExtraMissing("the check", "server")))
    try:
        verify(path)
    except PondageError as error:
        from pondage.cli.explanations import OURS

        return Finding("data", "fail", str(error), OURS[error.code].then)
    return Finding("data", "ok", f"{path}, {size(path.stat().st_size)}, sound")


def _disk(settings: Settings) -> Finding:
    from pondage.cli.terminal import size

    place = Path(settings.data).resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < LEAST_DISK:
        return Finding("disk", "warn", f"{size(free)} free", "make room; a full disk refuses new requests with 507")
    return Finding("disk", "ok", f"{size(free)} free")


def _descriptors() -> Finding:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < LEAST_DESCRIPTORS:
        return Finding("open files", "warn", f"at most {soft}", f"ulimit -n {min(hard, 65536)}; each caller needs one")
    return Finding("open files", "ok", f"at most {soft}")


def _server(args: argparse.Namespace, settings: Settings) -> Iterator[Finding]:
    from pondage.client import errors
    from pondage.wire.masking import masked

    url, source = reach.address(args.server, settings)
    args.server = url
    url = masked(url)
    api = reach.Api(args)
    try:
        apps = api.get("/apps")["items"]
    except (errors.Unauthorized, errors.Forbidden) as error:
        if args.key or os.environ.get("PONDAGE_KEY"):
            yield Finding("server", "fail", f"{url} ({source}) refuses this key: {error}", _KEY)
        else:
            yield Finding("server", "ok", f"{url} ({source}) answers, and asks for a key to show more", _KEY)
        return
    except errors.ConnectionError as error:
        yield _unanswered(error, url, source, settings)
        return
    except (errors.ClientError, ValueError) as error:
        yield Finding("server", "fail", f"{url} ({source}): {error}", "is it a Pondage server? --server names another")
        return
    yield Finding("server", "ok", f"{url} ({source}) answers")
    for app in apps:
        if not app["served"]:
            waiting = f", {app['queued']} queued" if app["queued"] else ""
            yield Finding("app", "warn" if waiting else "ok", f"{app['name']}: known, not served now{waiting}")
        elif app["fault"]:
            mend = f"all it said: pondage runners logs {app['name']}"
            yield Finding("app", "fail", f"{app['name']}: {app['fault']}", mend)
        else:
            yield Finding("app", "ok", f"{app['name']}: {app['runners']} runners, {app['queued']} queued")


def _unanswered(error: ConnectionError, url: str, source: str, settings: Settings) -> Finding:
    """No answer came. Why, and where nothing runs: is the port at least free?"""
    from pondage.cli.unanswered import reason

    why = reason(error, url)
    if why.code != "server.unreachable":
        return Finding("server", "fail", f"{why.text} ({source})", why.hint)
    if source in ("from --server", "from PONDAGE_URL"):
        return Finding("server", "fail", f"nothing answers at {url} ({source})", "start it, or correct the address")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            mend = "choose another with --port, or 0 for any"
            return Finding("server", "fail", f"cannot listen on port {settings.port}: {error.strerror}", mend)
    return Finding("server", "ok", f"none is running; port {settings.port} is free", "start one: pondage serve app.py")
