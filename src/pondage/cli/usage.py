"""`pondage usage`: who used what, by key, app and day."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any

from pondage.cli import exits, reach
from pondage.cli.terminal import duration, size, table
from pondage.cli.times import moment

HELP = "what keys used of apps: requests, waiting, runners, devices, bytes, units"

_FIGURES = ("submitted", "ok", "error", "cancelled", "lost", "waited", "runner", "devices", "in", "out", "units")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--by", default="key,app", help="add up by key,app (the default), key, app or none")
    parser.add_argument("--bucket", choices=("day", "month", "all"), default="day", help="a row for each (day)")
    parser.add_argument("--since", metavar="TIME", help="12h, 7d, 4w ago, or a date in UTC (30d)")
    parser.add_argument("--until", metavar="TIME", help="the same; the day that it falls into is the last (now)")
    parser.add_argument("--of", metavar="KEY", help="of one key, by its id; others' with the scope read-all")
    parser.add_argument("--app", metavar="OWNER/ALIAS", help="of one app")
    parser.add_argument("--csv", action="store_true", help="as CSV, every figure unrounded")
    reach.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    asked = {
        "by": args.by, "bucket": args.bucket, "key": args.of, "app": args.app,
        "since": moment(args.since, now, UTC), "until": moment(args.until, now, UTC),
    }  # fmt: skip
    api = reach.Api(args)
    if args.csv:
        args.terminal.result(api.text("/usage", format="csv", **asked).rstrip("\r\n").replace("\r\n", "\n"))
        return exits.OK
    report = api.get("/usage", **asked)
    if args.json:
        args.terminal.result_json(report)
        return exits.OK
    if not report["items"]:
        args.terminal.say("nothing was used in this time")
        return exits.OK
    columns = [name for name in ("day", "key", "app") if report["items"][0][name] is not None]
    rows = [[_name(item) if name == "key" else str(item[name]) for name in columns] + _figures(item)
            for item in report["items"]]  # fmt: skip
    for line in table(rows, [*columns, *_FIGURES]):
        args.terminal.result(line)
    return exits.OK


def _name(item: dict[str, Any]) -> str:
    return str(item["key_name"] or item["key"] or "(no key)")


def _figures(item: dict[str, Any]) -> list[str]:
    return [
        *(str(item[name]) for name in ("submitted", "ok", "error", "cancelled", "lost")),
        *(duration(item[name]) for name in ("waited", "runner", "devices")),
        *(size(item[name]) for name in ("input_bytes", "output_bytes")),
        f"{item['units']:g}",
    ]
