"""`pondage torture`: a real server on a scratch folder is killed, stopped, starved of disk and lied to while callers
use it; then everything that was written down is compared."""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import TYPE_CHECKING

from pondage.cli import exits
from pondage.cli.failures import BadArguments

if TYPE_CHECKING:
    from pondage.torture.report import Report

HELP = "kill a server again and again while it works, and prove that nothing was lost"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kills", type=int, default=30, help="how often processes are killed (30)")
    parser.add_argument("--requests", type=int, default=3000, help="how many requests are made meanwhile (3000)")
    parser.add_argument("--seed", type=int, help="repeats a schedule of faults; chosen and shown without it")
    parser.add_argument(
        "--minutes", type=float, default=0.0, help="start no fault after this many minutes; 0 for no limit"
    )
    parser.add_argument("--queued", type=int, default=0, help="requests that wait in the queue from the start (0)")
    parser.add_argument(
        "--hostile", type=int, default=8, metavar="N", help="callers that drip, flood, never read and vanish (8)"
    )
    parser.add_argument("--report", metavar="FILE", help="write the report as JSON to this file")
    parser.add_argument("--keep", metavar="FOLDER", help="keep database, journals and the server's log in this folder")
    parser.add_argument("--add", nargs="+", metavar="REPORT", help="run nothing; add up the reports of earlier runs")


def run(args: argparse.Namespace) -> int:
    made = _added(args.add) if args.add else _tortured(args)
    from pondage.torture import report

    if args.report:
        import msgspec

        document = msgspec.json.format(msgspec.json.encode(made), indent=1)
        Path(args.report).write_bytes(document + b"\n")
    if args.json:
        args.terminal.result_json(made)
    else:
        for line in report.text(made):
            args.terminal.result(line)
    return exits.OK if made.sound else exits.FAILED


def _tortured(args: argparse.Namespace) -> Report:
    if args.kills < 0 or args.requests < 1:
        raise BadArguments("--kills is at least 0 and --requests at least 1", "pondage torture --help")
    from pondage.torture import trial

    seed = random.randrange(1_000_000) if args.seed is None else args.seed  # noqa: S311 - shown, so that it can be repeated
    args.terminal.say(f"seed {seed}: {args.kills} kills, {args.requests} requests")
    keep = Path(args.keep).resolve() if args.keep else None
    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise BadArguments(f"{keep} is not empty", "--keep names a new or empty folder")
    wanted = trial.Wanted(args.kills, args.requests, seed, args.minutes, args.queued, max(args.hostile, 0), keep)
    return trial.run(wanted, args.terminal.say)


def _added(paths: list[str]) -> Report:
    import msgspec

    from pondage.torture import report

    try:
        return report.add([msgspec.json.decode(Path(path).read_bytes(), type=report.Report) for path in paths])
    except (OSError, msgspec.MsgspecError) as error:
        raise BadArguments(f"this is no report: {error}", "--add takes files that --report wrote") from error
