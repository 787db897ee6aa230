"""`pondage apps`: what a server knows how to run."""

from __future__ import annotations

import argparse
from typing import Any

from pondage.cli import exits, reach
from pondage.cli.terminal import duration, table

HELP = "the apps that a server knows: endpoints, runners, queue, the last hour, and why one cannot run"

_LAST_HOUR = ("ended", "errors", "p50, p90")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", nargs="?", choices=("list",), default="list")
    reach.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    api = reach.Api(args)
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
    return exits.OK


def _last_hour(item: dict[str, Any] | None) -> tuple[str, str, str]:
    """How many requests ended, how many with an error, and how long they ran: half of them at most, nine of ten."""
    if item is None or item["run"] is None:
        return "", "", ""
    ended = item["ok"] + item["error"] + item["cancelled"]
    return str(ended), str(item["error"]), f"{duration(item['run']['p50'])}, {duration(item['run']['p90'])}"


def _paths(app: dict[str, Any]) -> list[str]:
    endpoints = app.get("info", {}).get("endpoints") or []
    return [str(endpoint["path"]) for endpoint in endpoints]
