"""`pondage explain`: what an error code means, and the way out."""

from __future__ import annotations

import argparse
from difflib import get_close_matches

from pondage.cli import exits
from pondage.cli.explanations import ALL
from pondage.cli.failures import BadArguments

HELP = "what an error code means, and what to do about it"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("code", nargs="?", help="as in error[CODE]; all of them without it")


def run(args: argparse.Namespace) -> int:
    if args.code is None:
        if args.json:
            args.terminal.result_json({code: explanation._asdict() for code, explanation in ALL.items()})
        else:
            for code, explanation in ALL.items():
                args.terminal.result(f"{code:<28} {explanation.what}")
        return exits.OK
    code = args.code.strip().removeprefix("error[").removesuffix("]")
    if code not in ALL:
        near = get_close_matches(code, ALL, 1)
        raise BadArguments(
            f"there is no code {code!r}", f"did you mean {near[0]}?" if near else "pondage explain lists them"
        )
    explanation = ALL[code]
    if args.json:
        args.terminal.result_json({"code": code, **explanation._asdict()})
    else:
        args.terminal.result(f"{code}\n  {explanation.what}\n  {explanation.then}")
    return exits.OK
