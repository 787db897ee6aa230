"""`pondage requests`: what became of requests, and what can still be done about them."""

from __future__ import annotations

import argparse
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pondage.cli import exits, matching, reach
from pondage.cli.failures import BadArguments
from pondage.cli.spans import Span, spans
from pondage.cli.terminal import bar, duration, short, size, table

if TYPE_CHECKING:
    from pondage.cli.terminal import Terminal

HELP = "list requests, show one, read its log; cancel, run again or move one, or all that match"

_FOLLOW_PAUSE = 0.5
"""Seconds between two looks at the log of a running request."""


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="the newest requests")
    listing.add_argument("--app", metavar="OWNER/ALIAS", help="only this app's requests")
    listing.add_argument("--state", choices=("queued", "running", "completed"), help="only requests in this state")
    listing.add_argument("--outcome", choices=("ok", "error", "cancelled"), help="only requests that ended like this")
    listing.add_argument("--of", metavar="KEY", help="only this key's requests, by its id; others' need read-all")
    listing.add_argument("--limit", type=int, default=20, metavar="N", help="show at most N (default 20)")
    listing.add_argument("--cursor", help="continue where the previous page ended; that page printed the cursor")
    show = actions.add_parser("show", help="one request: where its time went, its attempts, its result")
    show.add_argument("--events", action="store_true", help="show every entry of its event log")
    show.add_argument("--logs", action="store_true", help="show what it printed")
    show.add_argument("--follow", action="store_true", help="wait for the result first")
    show.add_argument("-o", "--output", metavar="DIR", help="save the result's files in DIR")
    show.add_argument("--force", action="store_true", help="with -o: replace files that exist")
    logs = actions.add_parser("logs", help="what a request printed")
    logs.add_argument("--follow", action="store_true", help="keep printing until it ends")
    cancel = actions.add_parser("cancel", help="cancel requests, queued or running: those named, or all that match")
    again = "submit the input of requests again, as new requests: those named, or all that match"
    retry = actions.add_parser("retry", help=again)
    replay = actions.add_parser("replay", help="the same as retry")
    front = actions.add_parser("front", help="move waiting requests to the front: those named, or all that match")
    priority = actions.add_parser(
        "priority", help="change the priority of waiting requests: those named, or all that match"
    )
    priority.add_argument("--to", choices=("front", "normal", "low"), required=True, help="the new priority")
    for one in (show, logs):
        one.add_argument("id", metavar="ID", help="a request id, or its last digits")
    for many in (cancel, retry, replay, front, priority):
        many.add_argument("ids", nargs="*", metavar="ID", help="request ids, or their last digits")
        matching.add_flags(many)
    for every in (listing, show, logs, cancel, retry, replay, front, priority):
        reach.add_flags(every)
        every.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    api = reach.Api(args)
    if args.action == "list":
        return _list(api, args)
    if args.action in ("show", "logs"):
        return {"show": _show, "logs": _logs}[args.action](api, api.request_id(args.id), args)
    if not args.ids:
        return _of_many(api, args)
    if args.all or matching.asked(args):
        raise BadArguments("name requests, or say which match; not both", f"pondage requests {args.action} --help")
    actions = {"cancel": _cancel, "retry": _retry, "replay": _retry, "front": _priority, "priority": _priority}
    # Every id is looked up before anything is done to the first.
    return max([actions[args.action](api, whole, args) for whole in [api.request_id(text) for text in args.ids]])


def _of_many(api: reach.Api, args: argparse.Namespace) -> int:
    if args.action in ("front", "priority"):
        return matching.begin(api, "priority", args, priority=getattr(args, "to", "front"))
    return matching.begin(api, "cancel" if args.action == "cancel" else "retry", args)


def _priority(api: reach.Api, request_id: str, args: argparse.Namespace) -> int:
    word = getattr(args, "to", "front")
    answer = api.put(f"/requests/{reach.quoted(request_id)}/priority", body={"priority": word})
    if args.json:
        args.terminal.result_json(answer)
    else:
        args.terminal.result(f"{short(request_id)}  {word}")
    return exits.OK


def _list(api: reach.Api, args: argparse.Namespace) -> int:
    terminal: Terminal = args.terminal
    page = api.get(
        "/requests", app=args.app, state=args.state, outcome=args.outcome, caller=args.of, limit=args.limit,
        cursor=args.cursor,
    )  # fmt: skip
    if args.json:
        terminal.result_json(page)
        return exits.OK
    rows = [
        (
            _moment(item["submitted_at"]),
            short(item["id"]),
            _endpoint(item),
            _word(item),
            _times(item),
            (item["error"] or "").replace("\n", " ")[:80],
        )
        for item in page["items"]
    ]
    if not rows:
        terminal.say("no requests")
    for line in table(rows, ("submitted", "id", "endpoint", "state", "time", "")) if rows else []:
        terminal.result(line)
    if page["next_cursor"]:
        terminal.say(f"more: --cursor {page['next_cursor']}")
    return exits.OK


def _endpoint(item: dict[str, Any]) -> str:
    return str(item["app"]) + ("" if item["path"] == "/" else str(item["path"]))


def _word(item: dict[str, Any]) -> str:
    if item["outcome"]:
        return str(item["outcome"])
    if item["state"] == "IN_QUEUE":
        return f"queued ({item['position']} ahead)" if item["position"] else "queued"
    return "running"


def _times(item: dict[str, Any]) -> str:
    if not item["finished_at"]:
        return ""
    return duration(max(0.0, _seconds(item["finished_at"]) - _seconds(item["submitted_at"])))


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _moment(moment: str) -> str:
    local = datetime.fromisoformat(moment).astimezone()
    today = local.date() == datetime.now().astimezone().date()
    return local.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M")


def _show(api: reach.Api, request_id: str, args: argparse.Namespace) -> int:
    terminal: Terminal = args.terminal
    if args.follow:
        _wait(api, request_id)
    shown = api.get(f"/requests/{reach.quoted(request_id)}")
    events = _events(api, request_id)
    found = spans(shown, events, _deliveries(api, shown))
    if args.json:
        terminal.result_json({**shown, "spans": found} | ({"events": events} if args.events else {}))
        return _exit(shown)
    for line in portrait(shown, found):
        terminal.say(line)
    if args.events:
        for event in events:
            terminal.say("  " + _event_line(event, shown))
    if args.logs:
        for event in events:
            if event["kind"] == "log":
                terminal.say(f"  │ {event['message']}")
    if shown.get("output") is not None:
        terminal.output(shown["output"])
    if args.output:
        from pondage.cli.saving import save_files

        folder, tail = Path(args.output), request_id[-8:]
        save_files(reach.client(args), shown.get("output"), folder, tail, terminal, force=args.force)
    return _exit(shown)


def _deliveries(api: reach.Api, shown: dict[str, Any]) -> list[dict[str, Any]]:
    """The request's deliveries with their tries; most requests have none."""
    if not shown["webhook"]:
        return []
    listed = api.get("/webhooks/deliveries", request_id=shown["id"])["items"]
    return [api.get(f"/webhooks/deliveries/{reach.quoted(one['id'])}") for one in listed]


def _exit(shown: dict[str, Any]) -> int:
    return exits.FAILED if shown["outcome"] in ("error", "cancelled") else exits.OK


def portrait(shown: dict[str, Any], found: list[Span]) -> list[str]:
    """A request in a few lines: how it ended, when it waited and ran, and each attempt beside the others."""
    total = _times(shown)
    by = f" by key {shown['caller']}" if shown["caller"] else ""
    agent = f", {shown['agent']}" if shown["agent"] else ""
    head = f"{short(shown['id'])}  {_endpoint(shown)}  {_word(shown)}  {total}".rstrip()
    lines = [f"{head}     submitted {_moment(shown['submitted_at'])}{by}{agent}"]
    lines += _drawn(found, round((time.time() - _seconds(shown["submitted_at"])) * 1000))
    if shown["error"]:
        kind = f" ({shown['error_type']})" if shown["error_type"] else ""
        lines.append(f"  error      {shown['error']}{kind}")
    if shown["webhook"]:
        lines.append(f"  webhook    {shown['webhook']}")
    if shown["retried_from"]:
        lines.append(f"  again      of {short(shown['retried_from'])}")
    counts = f"{shown['last_event']} (--events, --logs, --follow)"
    sizes = f"input {size(shown['input_bytes'])}   output {size(shown['output_bytes'])}"
    lines.append(f"  events     {counts}   {sizes}")
    return lines


def _drawn(found: list[Span], now: int) -> list[str]:
    """The waits, the attempts and the webhook's tries, drawn to scale."""
    end = max([1, *(span["to"] if span["to"] is not None else now for span in found)])
    scale = 24 / end
    lines = []
    for span in found:
        since, until = max(span["from"], 0), span["to"] if span["to"] is not None else now
        name = "wait" if span["lane"] == "queue" else f"{span['lane']} {span['n']}"
        drawn = " " * round(since * scale) + "█" * max(1, round((until - since) * scale))
        text = f"on {span['label']}" if span["lane"] == "attempt" and span["label"] else span["label"]
        lines.append(f"  {name:<10} {duration(max(until - since, 0) / 1000):>8}  {drawn:<25} {text}".rstrip())
    return lines


def _event_line(event: dict[str, Any], shown: dict[str, Any]) -> str:
    offset = max(0.0, _seconds(event["at"]) - _seconds(shown["submitted_at"]))
    rest = {k: v for k, v in event.items() if k not in ("n", "kind", "attempt", "at") and v not in (None, "")}
    if event["kind"] == "log":
        text = f"{rest.get('level', '')} {rest.get('message', '')}"
    elif event["kind"] == "progress" and rest.get("total"):
        text = f"{bar(rest['step'] / rest['total'])} {rest['step']:g}/{rest['total']:g} {rest.get('message', '')}"
    else:
        text = "  ".join(f"{name}={_brief(value)}" for name, value in rest.items())
    return f"{event['n']:>4}  +{duration(offset):<9} attempt {event['attempt']}  {event['kind']:<9}  {text}".rstrip()


def _brief(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 100 else text[:99] + "…"


def _events(api: reach.Api, request_id: str, after: int = 0) -> list[dict[str, Any]]:
    """The log from number `after` on, every page of it."""
    found: list[dict[str, Any]] = []
    while True:
        page = api.get(f"/requests/{reach.quoted(request_id)}/events", after=after, limit=1000)
        found += page["items"]
        if page["next_after"] is None:
            return found
        after = page["next_after"]


def _wait(api: reach.Api, request_id: str) -> None:
    while api.get(f"/requests/{reach.quoted(request_id)}", payloads=0)["outcome"] is None:
        time.sleep(_FOLLOW_PAUSE)


def _logs(api: reach.Api, request_id: str, args: argparse.Namespace) -> int:
    terminal: Terminal = args.terminal
    after = 0
    while True:
        ended = not args.follow or api.get(f"/requests/{reach.quoted(request_id)}", payloads=0)["outcome"] is not None
        events = _events(api, request_id, after)
        after = events[-1]["n"] if events else after
        for event in events:
            if event["kind"] == "log":
                if args.json:
                    terminal.result_json(event)
                else:
                    terminal.result(f"{_moment(event['at'])}  {event['level']:<6}  {event['message']}")
        if ended:
            return exits.OK
        time.sleep(_FOLLOW_PAUSE)


def _cancel(api: reach.Api, request_id: str, args: argparse.Namespace) -> int:
    answer = api.put(f"/requests/{reach.quoted(request_id)}/cancel", accept=(400,))
    if args.json:
        args.terminal.result_json({"request_id": request_id, **answer})
    else:
        word = {"OK": "cancelled before it started", "CANCELLATION_REQUESTED": "cancelled while running"}
        text = word.get(answer.get("status", ""), "had ended already; nothing changed")
        args.terminal.result(f"{short(request_id)}  {text}")
    return exits.FAILED if answer.get("status") == "ALREADY_COMPLETED" else exits.OK


def _retry(api: reach.Api, request_id: str, args: argparse.Namespace) -> int:
    answer = api.post(f"/requests/{reach.quoted(request_id)}/retry")
    if not isinstance(answer.get("request_id"), str):
        raise BadArguments("the server did not name the new request")
    if args.json:
        args.terminal.result_json(answer)
    else:
        args.terminal.result(answer["request_id"])
        tail = answer["request_id"][-8:]
        args.terminal.say(f"the input of {short(request_id)} again; follow it: pondage requests show {tail} --follow")
    return exits.OK
