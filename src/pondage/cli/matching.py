"""`pondage requests cancel|retry|priority` without an id: one operation on all requests that match."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any

from pondage.cli import exits, operations, reach
from pondage.cli.failures import BadArguments
from pondage.cli.times import moment


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that say which requests."""
    which = parser.add_argument_group("all that match, instead of naming them")
    which.add_argument("--app", metavar="OWNER/ALIAS", help="only this app's")
    which.add_argument("--path", metavar="/PATH", help="only this endpoint's")
    which.add_argument("--caller", metavar="KEY_ID", help="only this key's")
    if parser.prog.endswith(("retry", "replay")):
        which.add_argument(
            "--failed", action="store_true", help="only those that ended with an error and were not retried yet"
        )
        which.add_argument("--error-type", metavar="TYPE", help="only those that ended with this error type")
        which.add_argument("--outcome", choices=("ok", "error", "cancelled"), help="only those that ended like this")
    else:
        which.add_argument("--state", choices=("queued", "running"), help="only those in this state")
    which.add_argument("--since", metavar="TIME", help="only those submitted since: 30m, 2h, 3d ago, or an ISO time")
    which.add_argument("--until", metavar="TIME", help="only those submitted before")
    which.add_argument("--all", action="store_true", help="all of them; without a filter give --count too")
    which.add_argument("--count", type=int, metavar="N", help="do nothing if more than N match")
    which.add_argument("--dry-run", action="store_true", help="print how many match, change nothing")
    which.add_argument("--name", default="", metavar="TEXT", help="a name for this operation")
    which.add_argument("--reason", default="", metavar="TEXT", help="the reason, for its record")
    which.add_argument("--no-wait", action="store_true", help="do not wait until it is done")


def asked(args: argparse.Namespace) -> dict[str, Any]:
    """The filter that the flags name."""
    now = datetime.now(UTC)
    names = ("app", "path", "caller", "state", "outcome", "error_type")
    filter = {name: value for name in names if (value := getattr(args, name, None)) is not None}
    if getattr(args, "failed", False):
        filter["outcome"] = "error"
    for name in ("since", "until"):
        if (at := moment(getattr(args, name), now)) is not None:
            filter[name] = at
    return filter


def begin(api: reach.Api, kind: str, args: argparse.Namespace, **more: Any) -> int:
    """Have the server do it to all that match."""
    filter = asked(args)
    if not filter and not args.all:
        verb = f"pondage requests {args.action}"
        raise BadArguments("which requests? Name them, or say which match", f"{verb} ID, or {verb} --app OWNER/ALIAS")
    body = {"kind": kind, "filter": filter, "name": args.name, "reason": args.reason, "dry_run": args.dry_run, **more}
    answer = api.post("/operations", body if args.count is None else {**body, "count": args.count})
    if args.dry_run:
        if args.json:
            args.terminal.result_json(answer)
        else:
            args.terminal.result(f"{answer['matched']} requests match")
        return exits.OK
    return operations.follow(api, answer, args)
