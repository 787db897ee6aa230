"""`pondage explain`: what an error code means, and the way out."""

from __future__ import annotations

import argparse
from difflib import get_close_matches

from pondage.cli import exits
from pondage.cli.explanations import ALL, explained
from pondage.cli.failures import BadArguments

HELP = "explain an error code, and what to do about it"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("code", nargs="?", help="the code in error[CODE]; without it, list every code")


def run(args: argparse.Namespace) -> int:
    if args.code is None:
        if args.json:
            args.terminal.result_list({"code": code, **explanation._asdict()} for code, explanation in ALL.items())
        else:
            for code, explanation in ALL.items():
                args.terminal.result(f"{code:<28} {explanation.what}")
        return exits.OK
    code = args.code.strip().removeprefix("error[").removesuffix("]")
    found = explained(code)
    if found is None:
        near = get_close_matches(code, ALL, 1)
        raise BadArguments(
            f"there is no code {code!r}", f"did you mean {near[0]}?" if near else "pondage explain lists them"
        )
    if args.json:
        args.terminal.result_json({"code": code, **found._asdict()})
    else:
        args.terminal.result(f"{code}\n  {found.what}\n  {found.then}")
    return exits.OK
