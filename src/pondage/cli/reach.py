"""How a verb reaches a server: the address and the key, the `/api/v1` routes, and request ids by their tail."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from pondage.cli.failures import BadArguments
from pondage.cli.terminal import short

if TYPE_CHECKING:
    from pondage.client import SyncClient
    from pondage.settings import Settings

_WHOLE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of every verb that asks a server."""
    group = parser.add_argument_group("server")
    group.add_argument(
        "--server", metavar="URL", help="the server's address (default: PONDAGE_URL, else the server of this folder)"
    )
    group.add_argument("--key", metavar="ID:SECRET", help="the API key (default: PONDAGE_KEY)")


class Address(NamedTuple):
    """A server's URL, and where it comes from, in words."""

    url: str
    source: str


def address(server: str | None, settings: Settings | None = None) -> Address:
    """The server that a command asks: `--server`, `PONDAGE_URL`, the one that runs on this folder's data, the one that
    `pondage.toml` and the environment describe.

    Args:
        server: what `--server` says.
        settings: the settings, where they were read already.

    Raises:
        SetupError: `pondage.toml` or a variable does not fit.
    """
    from pondage.settings import load

    if server:
        return Address(server, "from --server")
    if url := os.environ.get("PONDAGE_URL"):
        return Address(url, "from PONDAGE_URL")
    settings = settings or load()[0]
    return _running(settings) or _described(settings)


def _running(settings: Settings) -> Address | None:
    """The gateway that the data folder's note names, if its process lives."""
    note = Path(settings.data) / "gateway.json"
    try:
        said = msgspec.json.decode(note.read_bytes(), type=_Note)
    except (OSError, msgspec.MsgspecError):
        return None
    return Address(said.url, f"from {note}") if _lives(said.pid) else None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True  # as another user's
    except (OSError, OverflowError):
        return False
    return pid > 0


class _Note(msgspec.Struct):
    """What of `gateway.json` is read here."""

    pid: int
    url: str


def _described(settings: Settings) -> Address:
    """Where `pondage serve` in this folder would listen."""
    from pondage.client.target import DEFAULT_URL

    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "") else settings.host  # noqa: S104 - compared only
    scheme = "https" if settings.tls_cert or settings.tls_dev else "http"
    url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.port or 8000}"
    return Address(url, "the default" if url == DEFAULT_URL else "from pondage.toml or PONDAGE_… variables")


def client(args: argparse.Namespace) -> SyncClient:
    """The client for the server that the flags name; it is closed when the command ends."""
    from pondage.client import SyncClient

    made = SyncClient(args.key, base_url=address(args.server).url)
    args.at_end.callback(made.close)
    return made


class Api:
    """The routes under `/api/v1`."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._client = client(args)

    @property
    def cloud(self) -> bool:
        """Whether fal's own hosts are meant, which have none of these routes."""
        return self._client.exchange.target.cloud

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of a GET; query members that are None are left out."""
        return msgspec.json.decode(self._send("GET", path + _query(query)))

    def text(self, path: str, **query: Any) -> str:
        """The text that a GET answers."""
        return self._send("GET", path + _query(query)).decode()

    def post(self, path: str, body: Any = None) -> Any:
        """The JSON of a POST; None: without a body."""
        return msgspec.json.decode(self._send("POST", path, body=body))

    def delete(self, path: str) -> Any:
        """The JSON of a DELETE."""
        return msgspec.json.decode(self._send("DELETE", path))

    def put(self, path: str, *, accept: tuple[int, ...] = (), body: Any = None) -> Any:
        """The JSON of a PUT; None: without a body. The statuses in `accept` are no errors."""
        return msgspec.json.decode(self._send("PUT", path, accept, body))

    def _send(self, method: str, path: str, accept: tuple[int, ...] = (), body: Any = None) -> bytes:
        from pondage.client import core

        exchange = self._client.exchange
        repeat = core.Repeat.UNSENT if method == "POST" else core.Repeat.FREELY
        # One of our own routes, or, for /openapi.json and the like, a path from the root.
        place = path if path.startswith("/openapi") or path == "/readyz" else "/api/v1" + path
        sent = None if body is None else msgspec.json.encode(body)
        headers = exchange.base if body is None else {**exchange.base, "content-type": "application/json"}
        call = core.Call(method, exchange.target.run + place, headers, sent, repeat)
        answer = exchange.send(call, timeout=self._client.default_timeout)
        if answer.status not in accept:
            core.raise_for_status(answer)
        return answer.body

    def pages(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Every item of a list, page after page."""
        while True:
            page = self.get(path, limit=1000, **query)
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            query["cursor"] = page["next_cursor"]

    def request_id(self, text: str) -> str:
        """The id that `text` names: whole, or a tail of it that only one request has.

        Raises:
            BadArguments: none, or several, end so.
        """
        tail = text.strip().lstrip("….").lower()
        if _WHOLE_ID.match(tail):
            return tail
        if not re.fullmatch(r"[0-9a-f-]{2,36}", tail):
            raise BadArguments(f"{text!r} is no request id", "pondage requests list shows them")
        found = self.get("/requests", id_tail=tail, limit=5)["items"]
        if not found:
            raise BadArguments(f"no request ends in {tail}", "pondage requests list shows them")
        if len(found) > 1:
            several = ", ".join(short(item["id"]) for item in found)
            raise BadArguments(f"several requests end in {tail}: {several}", "give more of it")
        return str(found[0]["id"])


def _query(members: dict[str, Any]) -> str:
    given = {name: value for name, value in members.items() if value is not None}
    return "?" + urlencode(given) if given else ""


def quoted(request_id: str) -> str:
    """An id as part of a path."""
    return quote(request_id, safe="")
