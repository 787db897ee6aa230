"""How a verb reaches a server: the address and the key, the `/api/v1` routes, and request ids by their tail."""

from __future__ import annotations

import argparse
import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import msgspec

from pondage.cli.failures import BadArguments
from pondage.cli.terminal import short

if TYPE_CHECKING:
    from pondage.client import SyncClient

_WHOLE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of every verb that asks a server."""
    group = parser.add_argument_group("server")
    group.add_argument("--server", metavar="URL", help="the server (PONDAGE_URL, else http://127.0.0.1:8000)")
    group.add_argument("--key", metavar="ID:SECRET", help="the key (PONDAGE_KEY)")


def address(server: str | None) -> tuple[str, str]:
    """The server's URL, and where it comes from."""
    from pondage.client.target import DEFAULT_URL

    if server:
        return server, "from --server"
    if url := os.environ.get("PONDAGE_URL"):
        return url, "from PONDAGE_URL"
    return DEFAULT_URL, "the default"


def client(args: argparse.Namespace) -> SyncClient:
    """The client for the server that the flags name."""
    from pondage.client import SyncClient

    return SyncClient(args.key, base_url=args.server)


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
