"""`pondage operations`: what was done to many requests at once, how far it is, and how to stop it."""

from __future__ import annotations

import argparse
import time
from datetime import datetime
from typing import Any

from pondage.cli import exits, reach
from pondage.cli.failures import BadArguments
from pondage.cli.terminal import bar, short, table

HELP = "what is done to many requests at once: how far it is; pause it, resume it, undo the rest"

_PAUSE = 0.3
"""Seconds between two looks at an operation that is followed."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", nargs="?", choices=("list", "show", "pause", "resume", "undo"), default="list",
                        help="list the newest (the default); undo: leave alone what it has not reached")  # fmt: skip
    parser.add_argument("id", nargs="?", help="an operation's id, or its last digits")
    reach.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    api = reach.Api(args)
    if args.action == "list":
        return _list(api, args)
    if not args.id:
        raise BadArguments(f"which one? pondage operations {args.action} ID", "pondage operations lists them")
    place = f"/operations/{_whole(api, args.id)}"
    operation = api.get(place) if args.action == "show" else api.post(f"{place}/{args.action}")
    if args.json:
        args.terminal.result_json(operation)
    else:
        args.terminal.result(told(operation))
    return exits.OK


def _whole(api: reach.Api, text: str) -> str:
    tail = text.strip().lstrip("….").lower()
    found = [one["id"] for one in api.get("/operations", limit=1000)["items"] if one["id"].endswith(tail)]
    if len(found) != 1:
        raise BadArguments(f"{len(found) or 'no'} operations end in {tail}", "pondage operations lists them")
    return str(found[0])


def _list(api: reach.Api, args: argparse.Namespace) -> int:
    page = api.get("/operations")
    if args.json:
        args.terminal.result_json(page)
        return exits.OK
    rows = [
        (
            datetime.fromisoformat(one["at"]).astimezone().strftime("%Y-%m-%d %H:%M"),
            short(one["id"]),
            one["kind"] + (f" {one['priority']}" if one["priority"] else ""),
            one["app"] or " ".join(f"{name}={value}" for name, value in one["filter"].items()) or "everything",
            one["phase"],
            "" if one["app"] else f"{one['changed']} of {one['matched']}",
            one["by"],
            one["name"] or one["reason"],
        )
        for one in page["items"]
    ]
    if not rows:
        args.terminal.say("no operations")
        return exits.OK
    for line in table(rows, ("begun", "id", "what", "of", "is", "changed", "by", "")):
        args.terminal.result(line)
    return exits.OK


def told(operation: dict[str, Any]) -> str:
    """An operation in a line."""
    if operation["app"]:
        return f"{short(operation['id'])}  {operation['kind']} {operation['app']}"
    passed = f", {operation['passed']} had moved on" if operation["passed"] else ""
    counts = f"{operation['changed']} of {operation['matched']}{passed}"
    return f"{short(operation['id'])}  {operation['kind']} {operation['phase']}: {counts}"


def follow(api: reach.Api, operation: dict[str, Any], args: argparse.Namespace) -> int:
    """Show how far an operation is until it has ended."""
    terminal = args.terminal
    terminal.say(f"{told(operation)}; undo the rest: pondage operations undo {operation['id'][-8:]}")
    try:
        while operation["phase"] == "running" and not args.no_wait:
            share = (operation["changed"] + operation["passed"]) / max(operation["matched"], 1)
            if terminal.redraws:
                terminal.redraw(f"{bar(min(share, 1.0))} {operation['changed']} of {operation['matched']}")
            time.sleep(_PAUSE)
            operation = api.get(f"/operations/{operation['id']}")
    finally:
        if terminal.redraws:
            terminal.redraw("")
    if args.json:
        terminal.result_json(operation)
    else:
        terminal.result(told(operation))
    return exits.OK
