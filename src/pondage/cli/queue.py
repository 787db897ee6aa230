"""`pondage queue`: the line of each app."""

from __future__ import annotations

import argparse

from pondage.cli import exits, reach
from pondage.cli.terminal import duration, table

HELP = "the queue of each app: how many wait, for how long, how fast it moves, and whose they are"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("app", nargs="?", metavar="OWNER/ALIAS", help="of this app, with its keys")
    reach.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    page = reach.Api(args).get("/queue", app=args.app)
    if args.json:
        args.terminal.result_json(page)
        return exits.OK
    rows = [
        (
            line["app"],
            str(line["queued"]),
            str(line["running"]),
            "" if line["oldest"] is None else duration(line["oldest"]),
            f"{line['submitted_per_minute']:g} in, {line['ended_per_minute']:g} out",
            line["why"] or "",
        )
        for line in page["items"]
    ]
    if not rows:
        args.terminal.say("no apps")
        return exits.OK
    for text in table(rows, ("app", "queued", "running", "oldest", "per minute", "")):
        args.terminal.result(text)
    keys = [(key["caller"] or "(no key)", str(key["queued"]), str(key["running"]))
            for line in page["items"] if args.app for key in line["keys"]]  # fmt: skip
    for text in table(keys, ("key", "queued", "running")) if keys else []:
        args.terminal.result(text)
    return exits.OK
