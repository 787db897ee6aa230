"""`pondage apps`: what a server knows how to run."""

from __future__ import annotations

import argparse
from typing import Any

from pondage.cli import exits, reach
from pondage.cli.terminal import table

HELP = "the apps that a server knows: endpoints, runners, queue, and why one cannot run"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", nargs="?", choices=("list",), default="list")
    reach.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    page = reach.Api(args).get("/apps")
    if args.json:
        args.terminal.result_json(page)
        return exits.OK
    items = page["items"]
    if not items:
        args.terminal.say("no apps")
        return exits.OK
    rows = [
        (
            app["name"],
            str(app["runners"]),
            f"{app['free']} of {app['slots']} free",
            str(app["queued"]),
            str(app["running"]),
            " ".join(_paths(app)),
        )
        for app in items
    ]
    for line in table(rows, ("app", "runners", "slots", "queued", "running", "endpoints")):
        args.terminal.result(line)
    for app in items:
        if app["fault"]:
            args.terminal.say(f"  {app['name']}: {app['fault']}")
    return exits.OK


def _paths(app: dict[str, Any]) -> list[str]:
    endpoints = app.get("info", {}).get("endpoints") or []
    return [str(endpoint["path"]) for endpoint in endpoints]
