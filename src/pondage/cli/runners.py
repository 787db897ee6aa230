"""`pondage runners`: the processes that execute requests, and what they say outside of requests."""

from __future__ import annotations

import argparse
import time
from datetime import datetime
from typing import Any

from pondage.cli import exits, reach
from pondage.cli.failures import BadArguments
from pondage.cli.terminal import duration, short, size, table

HELP = "the runner processes: their apps, states, memory, what they run, and their own logs"

_FOLLOW_PAUSE = 0.5
"""Seconds between two looks at the log of a runner."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action", nargs="?", choices=("list", "logs"), default="list",
        help="list them (the default), or show what an app's runners said outside of requests, as in setup()",
    )  # fmt: skip
    parser.add_argument("which", nargs="?", metavar="APP|ID", help="for logs: owner/alias, or a runner's id")
    parser.add_argument("--follow", action="store_true", help="for logs: keep printing until ^C")
    reach.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    api = reach.Api(args)
    if args.action == "logs":
        return _logs(api, args)
    page = api.get("/runners")
    if args.json:
        args.terminal.result_json(page)
        return exits.OK
    rows = [
        (
            runner["id"][-8:],
            runner["app"],
            runner["state"],
            str(runner["pid"]),
            size(runner["memory"]) if runner["memory"] else "",
            duration(max(0.0, time.time() - _wall(runner["started_at"]))),
            " ".join(short(request_id) for request_id in runner["running"][:8]),
        )
        for runner in page["items"]
    ]
    if not rows:
        args.terminal.say("no runners")
        return exits.OK
    for line in table(rows, ("id", "app", "state", "pid", "memory", "age", "runs")):
        args.terminal.result(line)
    return exits.OK


def _logs(api: reach.Api, args: argparse.Namespace) -> int:
    app, runner = _which(api, args.which)
    shown = 0.0
    while True:
        items = api.get("/runners/logs", app=app, runner=runner)["items"]
        # The server keeps the newest lines only: what was shown last says where to go on.
        fresh = [line for line in items if _wall(line["at"]) > shown] if shown else items
        for line in fresh:
            shown = max(shown, _wall(line["at"]))
            _show(line, args)
        if not args.follow:
            if not items:
                args.terminal.say(f"the runners of {app} have said nothing outside of requests")
            return exits.OK
        time.sleep(_FOLLOW_PAUSE)


def _show(line: dict[str, Any], args: argparse.Namespace) -> None:
    if args.json:
        args.terminal.result_json(line)
    else:
        at = datetime.fromisoformat(line["at"]).astimezone().strftime("%H:%M:%S")
        args.terminal.result(f"{at}  {line['runner'][-8:]}  {line['level']:<6}  {line['message']}")


def _which(api: reach.Api, which: str | None) -> tuple[str, str | None]:
    """The app, and the runner if one was named."""
    if which is None:
        names = [app["name"] for app in api.get("/apps")["items"]]
        if len(names) == 1:
            return names[0], None
        raise BadArguments("Name an app: pondage runners logs APP", f"apps: {', '.join(names) or 'none'}")
    if "/" in which:
        return which, None
    found = [runner for runner in api.get("/runners")["items"] if runner["id"].endswith(which.lstrip("…"))]
    if len(found) != 1:
        raise BadArguments(f"no runner's id ends in {which}", "pondage runners lists them; an app is owner/alias")
    return found[0]["app"], found[0]["id"]


def _wall(moment: float | str) -> float:
    return moment if isinstance(moment, int | float) else datetime.fromisoformat(moment).timestamp()
