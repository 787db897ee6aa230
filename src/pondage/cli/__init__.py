"""The command `pondage`: one module per verb, imported only when that verb is asked for.

A verb's module has `HELP` (one line), `configure(parser)` (its arguments) and `run(args) -> int` (the exit code). What
it raises is translated in one place, `failures`. Arguments are read with argparse, which costs two milliseconds to
import where richer libraries cost eighty: `pondage serve` has to answer within a second.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

VERBS: dict[str, str] = {
    "serve": "serve",
    "call": "call",
    "requests": "requests",
    "queue": "queue",
    "operations": "operations",
    "runners": "runners",
    "apps": "apps",
    "usage": "usage",
    "keys": "keys",
    "open": "open",
    "files": "files",
    "webhooks": "webhooks",
    "env": "env",
    "openapi": "openapi",
    "doctor": "doctor",
    "explain": "explain",
    "backup": "backup",
    "restore": "restore",
    "torture": "torture",
    "completion": "completion",
}
"""Each verb and the module of this package that has it, in the order in which the help shows them."""


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code. What `[project.scripts]` names."""
    arguments = sys.argv[1:] if argv is None else argv
    if find_spec("rich") is None:
        from pondage.cli.terminal import say_before
        from pondage.errors import ExtraMissing

        say_before(f"error[{ExtraMissing.code}]: {ExtraMissing('the command line', 'cli')}", error=True)
        say_before("  to serve apps as well, install the extra [server]", error=True)
        return 2
    from pondage.cli.dispatch import dispatch

    return dispatch(arguments)
