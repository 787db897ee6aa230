"""`pondage files`: what is stored; put a file there, get one back, delete one."""

from __future__ import annotations

import argparse
import re
import shlex
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlencode, urlsplit

import msgspec

from pondage.cli import exits, reach
from pondage.cli.failures import BadArguments
from pondage.cli.saving import arriving, check_free
from pondage.cli.terminal import bar, short, size, table

if TYPE_CHECKING:
    from pondage.cli.terminal import Terminal
    from pondage.client import SyncClient
    from pondage.client.core import Call

HELP = "stored files: list, put, get, delete"

_ID = re.compile(r"[0-9a-f]{32}\Z")
_STEP = 0.01
"""Share of a file after which the progress is drawn again."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of each verb below this one."""
    verbs = parser.add_subparsers(dest="action", metavar="VERB", required=True)
    listing = verbs.add_parser("list", help="files, newest first")
    listing.add_argument("-n", "--limit", type=int, default=20, metavar="N", help="show at most N (default 20)")
    listing.add_argument("--cursor", help="continue where the previous page ended; that page printed the cursor")
    put = verbs.add_parser("put", help="store a file and print its URL")
    put.add_argument("path", metavar="PATH", help="the file to store")
    put.add_argument("--expires", metavar="WHEN", help="never, 1h, 1d, 7d, 30d, 1y, or seconds (the server's default)")
    put.add_argument("--resume", metavar="TOKEN", help="continue an interrupted upload")
    get = verbs.add_parser("get", help="fetch a file")
    get.add_argument("file", metavar="ID|URL", help="its URL, its id, or the last digits of its id")
    get.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        help="save it as this file or in this folder (default: here, under its own name); - for stdout",
    )
    get.add_argument("--force", action="store_true", help="replace a file that exists")
    remove = verbs.add_parser("rm", help="delete files")
    remove.add_argument("files", metavar="ID|URL", nargs="+", help="the files to delete")
    for every in (listing, put, get, remove):
        reach.add_flags(every)
        every.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Do what the arguments say."""
    {"list": _list, "put": _put, "get": _get, "rm": _remove}[args.action](Routes(args), args.terminal, args)
    return exits.OK


class Routes:
    """The routes of files, and files by the tail of their id."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.client: SyncClient = reach.client(args)

    def call(self, method: str, url: str) -> Call:
        """A call of one of the server's own URLs; the key goes nowhere else."""
        from pondage.client import core

        exchange = self.client.exchange
        if not url.startswith("http"):
            url = exchange.target.run + url
        headers = exchange.base if exchange.target.owns(url) else {}
        return core.Call(method, url, headers, as_given=True)

    def json(self, method: str, url: str) -> Any:
        """The JSON of an answer without a body."""
        from pondage.client import core

        answer = self.client.exchange.send(self.call(method, url), timeout=self.client.default_timeout)
        core.raise_for_status(answer)
        return msgspec.json.decode(answer.body)

    def page(self, limit: int, cursor: str | None) -> Any:
        """One page of the list."""
        query = {"limit": limit, **({"cursor": cursor} if cursor else {})}
        return self.json("GET", "/api/v1/files?" + urlencode(query))

    def url(self, text: str) -> str:
        """The URL that `text` means: one, the path of one, an id, or the tail of an id.

        Raises:
            BadArguments: no file, or several, end so.
        """
        if text.startswith(("http://", "https://", "/files/")):
            return text
        tail = text.strip().lstrip("….").lower()
        if _ID.match(tail):
            return f"/files/{tail}"
        if not re.fullmatch(r"[0-9a-f]{2,31}", tail):
            raise BadArguments(f"{text!r} is neither a file's URL nor its id", "pondage files list shows them")
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = self.page(1000, cursor)
            found += [file for file in page["files"] if file["id"].endswith(tail)]
            cursor = page["next_cursor"]
            if cursor is None or len(found) > 1:
                break
        if len(found) != 1:
            many = "several files end" if found else "no file ends"
            raise BadArguments(f"{many} in {tail}", "pondage files list shows them")
        return str(found[0]["url"])


def _list(routes: Routes, terminal: Terminal, args: argparse.Namespace) -> None:
    page = routes.page(args.limit, args.cursor)
    if args.json:
        terminal.result_list(page["files"], page["next_cursor"])
        return
    rows = [
        (
            datetime.fromisoformat(file["created_at"]).astimezone().strftime("%Y-%m-%d %H:%M"),
            short(file["id"]),
            size(file["file_size"]),
            file["content_type"] + (" (private)" if file["private"] else ""),
            file["file_name"],
        )
        for file in page["files"]
    ]
    if not rows:
        terminal.say("no files")
    for line in table(rows, ("stored", "id", "size", "type", "name")) if rows else []:
        terminal.result(line)
    if page["next_cursor"]:
        terminal.say(f"more: --cursor {page['next_cursor']}")


def _put(routes: Routes, terminal: Terminal, args: argparse.Namespace) -> None:
    from pondage.client import StorageSettings, UploadInterrupted, UploadSession

    path = Path(args.path)
    if not path.is_file():
        raise BadArguments(f"there is no file {path}")
    expires: Any = int(args.expires) if args.expires and args.expires.isdigit() else args.expires
    lifecycle = StorageSettings(expires_in=expires) if expires else None
    drawn = Drawn(terminal, path.name)
    begun = UploadSession.from_token(args.resume) if args.resume else None

    def note(session: UploadSession) -> None:
        nonlocal begun
        begun = session

    try:
        url = routes.client.storage.upload_file(
            path, lifecycle=lifecycle, resume=begun, on_session=note, on_progress=drawn
        )
    except (UploadInterrupted, KeyboardInterrupt):
        if begun is not None:
            again = shlex.join(["pondage", "files", "put", str(path), "--resume", begun.token])
            terminal.complain(f"what has arrived is kept: {again}")
        raise
    finally:
        drawn.end()
    if args.json:
        terminal.result_json({"url": url, "file_name": path.name, "file_size": path.stat().st_size})
    else:
        terminal.result(url)


def _get(routes: Routes, terminal: Terminal, args: argparse.Namespace) -> None:
    url = routes.url(args.file)
    with routes.client.exchange.open(routes.call("GET", url), idle=60.0) as answer:
        if answer.status >= 400:
            from pondage.client import core

            core.raise_for_status(answer.whole())
        name = _name(answer.headers, url)
        if args.output == "-":
            for piece in answer.pieces():
                terminal.result_bytes(piece)
            return
        target = Path(args.output or ".")
        target = target / name if target.is_dir() else target
        check_free(target, force=args.force)
        total, done, drawn = int(answer.headers.get("content-length", "0")), 0, Drawn(terminal, name)
        try:
            with arriving(target, force=args.force) as part, part.open("wb") as file:
                for piece in answer.pieces():
                    done += file.write(piece)
                    drawn(done, total)
        finally:
            drawn.end()
    if args.json:
        terminal.result_json({"path": str(target), "file_size": done})
    else:
        terminal.result(str(target))


def _remove(routes: Routes, terminal: Terminal, args: argparse.Namespace) -> None:
    gone = []
    for url in [routes.url(text) for text in args.files]:
        gone.append(routes.json("DELETE", url.partition("?")[0])["deleted"])
        if not args.json:
            terminal.result(f"{short(gone[-1])}  deleted")
    if args.json:
        terminal.result_json({"deleted": gone})


def _name(headers: Any, url: str) -> str:
    """The file's own name, cut to a last segment: what a server says never leads out of the folder."""
    said = str(headers.get("content-disposition", ""))
    encoded = re.search(r"filename\*=UTF-8''([^;]+)", said)
    plain = re.search(r'filename="([^"]*)"', said)
    name = unquote(encoded[1]) if encoded else plain[1] if plain else unquote(urlsplit(url).path)
    return re.split(r"[/\\]", name.replace("\0", ""))[-1].lstrip(".") or "file"


class Drawn:
    """A progress bar where there is a terminal that can redraw; silent elsewhere."""

    def __init__(self, terminal: Terminal, name: str) -> None:
        self._terminal = terminal
        self._name = name
        self._share = -1.0

    def __call__(self, done: int, total: int) -> None:
        share = done / total if total else 1.0
        if self._terminal.redraws and self._terminal.level >= 0 and share - self._share >= _STEP:
            self._share = share
            self._terminal.redraw(f"{bar(share)} {size(done)} of {size(total)}  {self._name}")

    def end(self) -> None:
        """Leave the line to what comes next."""
        if self._share >= 0:
            self._terminal.say()
