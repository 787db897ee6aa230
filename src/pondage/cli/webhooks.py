"""`pondage webhooks`: what was delivered and what was not, and how to try it on a laptop."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import msgspec

from pondage.cli import exits, reach
from pondage.cli.failures import BadArguments
from pondage.cli.terminal import Terminal, duration, short, table
from pondage.cli.times import moment, span

if TYPE_CHECKING:
    from pondage.client import SyncClient

HELP = "deliveries: list, show, replay; listen on this machine; secrets and keys"


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of each verb below this one."""
    verbs = parser.add_subparsers(dest="action", metavar="VERB", required=True)

    listing = verbs.add_parser("list", help="deliveries, newest first")
    listing.add_argument("--request", metavar="ID", help="only this request's")
    listing.add_argument("--state", choices=("owed", "done", "dead"))
    _range(listing)
    listing.add_argument("-n", "--limit", type=int, default=20, help="show at most N (default 20)")

    show = verbs.add_parser("show", help="one delivery, and every try with its answer")
    show.add_argument("delivery", metavar="ID", help="its id, or a tail of its or its request's id")

    replay = verbs.add_parser("replay", help="deliver again, under the same id: one, a request's, or a time range's")
    replay.add_argument("delivery", metavar="ID", nargs="?", help="a delivery, by its id or a tail of it")
    replay.add_argument("--request", metavar="ID", help="all deliveries of a request")
    replay.add_argument("--state", choices=("owed", "done", "dead"), help="with a time range: dead, if not given")
    _range(replay)

    listen = verbs.add_parser("listen", help="receive deliveries here, verify and print them")
    listen.add_argument("--forward-to", metavar="URL", help="forward each to this URL, like localhost:3000/hook")
    listen.add_argument("--app", default="", metavar="OWNER/ALIAS", help="only this app's requests")
    listen.add_argument(
        "--timeout", type=span, default=15.0, metavar="TIME", help="how long the receiver may take (default 15s)"
    )
    listen.add_argument("--count", type=int, default=0, metavar="N", help="end after N deliveries")

    secret = verbs.add_parser("secret", help="the secret that signs deliveries (whsec_…)")
    secret.add_argument("--url", help="the secret of this target")

    rotate = verbs.add_parser("rotate", help="make a new key; the old one goes on for a while")
    rotate.add_argument("kind", choices=("ed25519", "secret"))
    rotate.add_argument("--url", default="", help="rotate the secret of this target alone")
    rotate.add_argument("--at-once", action="store_true", help="stop the old key now; for a stolen one")

    for each in (listing, show, replay, listen, secret, rotate):
        reach.add_flags(each)
        # Also where people write it: after the verb. What stood before it is not undone.
        for flag, name in (("--json", "json"), ("-q", "quiet"), ("-v", "verbose")):
            each.add_argument(flag, action="store_true", dest=name, default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def _range(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--since", metavar="TIME", help="30m, 2h, 3d ago, or an ISO time")
    parser.add_argument("--until", metavar="TIME", help="the same")


def run(args: argparse.Namespace) -> int:
    """Do what the arguments say."""
    if args.action == "listen":
        from pondage.cli.webhooks_listen import listen

        return listen(Routes(args), args)
    verb = {"list": _list, "show": _show, "replay": _replay, "secret": _secret, "rotate": _rotate}[args.action]
    verb(Routes(args), args.terminal, args)
    return exits.OK


class Routes:
    """The routes under `/api/v1/webhooks`, and request ids by their tail."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._client: SyncClient = reach.client(args)
        self.api = reach.Api(args)

    @property
    def jwks_url(self) -> str:
        return self._client.exchange.target.run + "/.well-known/jwks.json"

    def get(self, path: str, *, timeout: float | None = None, **query: Any) -> Any:
        """The JSON of a GET; query members that are None are left out. `timeout` in seconds."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._send("GET", path + ("?" + urlencode(given) if given else ""), None, timeout)

    def post(self, path: str, content: dict[str, Any] | None = None) -> Any:
        """The JSON of a POST; members that are None are left out."""
        given = {name: value for name, value in (content or {}).items() if value is not None}
        return self._send("POST", path, msgspec.json.encode(given), None)

    def delete(self, path: str) -> Any:
        return self._send("DELETE", path, None, None)

    def _send(self, method: str, path: str, body: bytes | None, timeout: float | None) -> Any:
        from pondage.client import core

        exchange = self._client.exchange
        repeat = core.Repeat.FREELY if method == "GET" else core.Repeat.UNSENT
        url = exchange.target.run + "/api/v1/webhooks" + path
        call = core.Call(method, url, exchange.base, body, repeat)
        answer = exchange.send(call, timeout=timeout or self._client.default_timeout)
        core.raise_for_status(answer)
        return msgspec.json.decode(answer.body)


def _bounds(args: argparse.Namespace) -> dict[str, float | None]:
    now = datetime.now(UTC)
    return {"since": moment(args.since, now), "until": moment(args.until, now)}


def _request(routes: Routes, args: argparse.Namespace) -> str | None:
    return None if args.request is None else routes.api.request_id(args.request)


def clock(iso: str) -> str:
    """The local time of day of an ISO time."""
    return datetime.fromisoformat(iso).astimezone().strftime("%H:%M:%S")


def _list(routes: Routes, terminal: Terminal, args: argparse.Namespace) -> None:
    items: list[dict[str, Any]] = []
    cursor = None
    while len(items) < args.limit:
        page = routes.get(
            "/deliveries",
            request_id=_request(routes, args),
            state=args.state,
            limit=min(args.limit - len(items), 1000),
            cursor=cursor,
            **_bounds(args),
        )
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    if terminal.json:
        terminal.result_list(items[: args.limit], cursor)
        return
    if not items:
        terminal.say("no deliveries")
        return
    for line in table(
        [_row(item) for item in items[: args.limit]], ("at", "request", "event", "state", "tries", "last", "to")
    ):
        terminal.result(line)


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    last = item["last_reason"] or (str(item["last_status"]) if item["last_status"] else "-")
    if item["held"]:
        last = f"host left alone after {item['held']['failures']} failures"
    return (
        clock(item["created_at"]), short(item["request_id"]), item["event"], item["state"], str(item["tries"]),
        last if len(last) <= 48 else last[:47] + "…", item["url"],
    )  # fmt: skip


def _show(routes: Routes, terminal: Terminal, args: argparse.Namespace) -> None:
    item = routes.get(f"/deliveries/{quote(args.delivery.lstrip('…'), safe='')}")
    if terminal.json:
        terminal.result_json(item)
        return
    terminal.result(f"{item['id']}  {item['event']} of request {item['request_id']}")
    due = f", due {clock(item['due_at'])}" if item["due_at"] else ""
    terminal.result(f"  {item['state']}{due}  {item['url']}")
    if item["held"]:
        held = item["held"]
        terminal.result(f"  host left alone for {duration(held['seconds'])} more: {held['failures']} failures in a row")
    for entry in item["log"]:
        outcome = " ".join(str(part) for part in (entry["status"], entry["reason"]) if part)
        terminal.result(f"  try {entry['n']}  {clock(entry['at'])}  {duration(entry['duration'])}  {outcome}")
        if entry["note"]:
            terminal.result(f"      {entry['note']}")
        if entry["answer"]:
            terminal.result(f"      answer: {entry['answer'][:200]!r}")


def _replay(routes: Routes, terminal: Terminal, args: argparse.Namespace) -> None:
    ways = [name for name in ("delivery", "request", "since") if getattr(args, name) is not None]
    if len(ways) != 1:
        raise BadArguments("say which deliveries: an id, or --request, or --since", "pondage webhooks list shows them")
    if args.delivery is not None:
        answer = routes.post(f"/deliveries/{quote(args.delivery.lstrip('…'), safe='')}/replay")
    else:
        answer = routes.post("/replay", {"request_id": _request(routes, args), "state": args.state, **_bounds(args)})
    if terminal.json:
        terminal.result_json(answer)
        return
    for delivery in answer["replayed"]:
        terminal.result(delivery)
    terminal.say(f"{len(answer['replayed'])} due now")


def _secret(routes: Routes, terminal: Terminal, args: argparse.Namespace) -> None:
    secrets = routes.get("/secrets", url=args.url)["secrets"]
    if terminal.json:
        terminal.result_json({"secrets": secrets})
        return
    terminal.result(secrets[0])
    if len(secrets) > 1:
        terminal.say(f"{len(secrets) - 1} older signs too, for a while")


def _rotate(routes: Routes, terminal: Terminal, args: argparse.Namespace) -> None:
    key = routes.post("/keys", {"kind": args.kind, "url": args.url, "at_once": args.at_once})
    if terminal.json:
        terminal.result_json(key)
        return
    terminal.result(key.get("secret", key["id"]))
    terminal.say(f"signs from {key['signs_from']}" + (f" for {key['origin']}" if key["origin"] else ""))
