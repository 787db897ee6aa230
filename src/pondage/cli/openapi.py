"""`pondage openapi`: the description of a server's apps, for generators of clients and for reading."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from pondage.cli import exits, reach

HELP = "the OpenAPI description of a server's apps"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", metavar="FILE", help="write it to this file")
    reach.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    document = reach.Api(args).get("/openapi.json")
    text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
    if args.output:
        Path(args.output).write_text(text + "\n", "utf-8")
        args.terminal.say(f"wrote {args.output}")
    else:
        args.terminal.result(text)
    return exits.OK
