"""`penstock runners`: the processes that execute requests."""

from __future__ import annotations

import argparse
import time
from datetime import datetime

from penstock.cli import exits, reach
from penstock.cli.terminal import duration, short, size, table

HELP = "the runner processes: their apps, states, memory and what they run"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", nargs="?", choices=("list",), default="list")
    reach.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    page = reach.Api(args).get("/runners")
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


def _wall(moment: float | str) -> float:
    return moment if isinstance(moment, int | float) else datetime.fromisoformat(moment).timestamp()
