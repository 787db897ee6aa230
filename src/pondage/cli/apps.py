"""`pondage apps`: what a server knows how to run."""

from __future__ import annotations

import argparse
from typing import Any

from pondage.cli import exits, reach
from pondage.cli.failures import BadArguments
from pondage.cli.terminal import duration, table

HELP = "the apps that a server knows: endpoints, runners, queue, the last hour, faults; pause, drain, resume one"

_DONE = {
    "pause": "nothing more of it is started",
    "drain": "nothing more of it is started, and its runners leave",
    "resume": "it goes on",
    "forget": "forgotten; its finished requests stay",
}

_LAST_HOUR = ("ended", "errors", "p50, p90")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", nargs="?", choices=("list", "pause", "drain", "resume", "forget"), default="list",
                        help="list them (default); pause: start no more of an app's requests; drain: the same, and "
                             "stop its runners; resume: go on; forget: drop an app no longer served")  # fmt: skip
    parser.add_argument("app", nargs="?", metavar="OWNER/ALIAS", help="the app to pause, drain, resume or forget")
    parser.add_argument("--reason", default="", metavar="TEXT", help="for pause and drain: why; callers see it")
    reach.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    api = reach.Api(args)
    if args.action != "list":
        return _hold(api, args)
    page = api.get("/apps")
    if args.json:
        args.terminal.result_json(page)
        return exits.OK
    items = page["items"]
    if not items:
        args.terminal.say("no apps")
        return exits.OK
    fared = {item["app"]: item for item in api.get("/summary")["items"]}
    rows = [
        (
            app["name"],
            str(app["runners"]),
            f"{app['free']} of {app['slots']} free",
            str(app["queued"]),
            str(app["running"]),
            *_last_hour(fared.get(app["name"])),
            " ".join(_paths(app)),
        )
        for app in items
    ]
    for line in table(rows, ("app", "runners", "slots", "queued", "running", *_LAST_HOUR, "endpoints")):
        args.terminal.result(line)
    for app in items:
        if app["fault"]:
            args.terminal.say(f"  {app['name']}: {app['fault']}")
        if held := app.get("held"):
            args.terminal.say(f"  {app['name']}: {_held(held)}")
    return exits.OK


def _hold(api: reach.Api, args: argparse.Namespace) -> int:
    if not args.app:
        raise BadArguments(f"name the app: pondage apps {args.action} OWNER/ALIAS", "pondage apps lists them")
    if args.action == "forget":
        answer = api.delete(f"/apps/{args.app}")
    else:
        answer = api.post(f"/apps/{args.app}/{args.action}", {"reason": args.reason})
    if args.json:
        args.terminal.result_json(answer)
    else:
        args.terminal.result(f"{args.app}: {_DONE[args.action]}")
    return exits.OK


def _held(held: dict[str, Any]) -> str:
    """Who has paused an app, in a few words."""
    by = f" by key {held['by']}" if held["by"] else ""
    reason = f": {held['reason']}" if held["reason"] else ""
    return f"{'drained' if held['drained'] else 'paused'}{by}{reason}"


def _last_hour(item: dict[str, Any] | None) -> tuple[str, str, str]:
    """How many requests ended, how many with an error, and how long they ran: half of them at most, nine of ten."""
    if item is None or item["run"] is None:
        return "", "", ""
    ended = item["ok"] + item["error"] + item["cancelled"]
    return str(ended), str(item["error"]), f"{duration(item['run']['p50'])}, {duration(item['run']['p90'])}"


def _paths(app: dict[str, Any]) -> list[str]:
    endpoints = app.get("info", {}).get("endpoints") or []
    return [str(endpoint["path"]) for endpoint in endpoints]
