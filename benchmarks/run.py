"""`make bench`: every scenario in one run, a JSON result, a Markdown page, a picture, a check against the last one.

python -m benchmarks [NAME]… [--quick] [--only NAME,…] [--out DIR] [--rounds N] [--seconds S] [--commit]
python -m benchmarks --against REVISION [--only NAME,…] [--pairs N] [--bound RATIO] [--seconds S]
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import ModuleType

import msgspec
import uvloop

from benchmarks import against, limits, machine, paired, picture, regression, report
from benchmarks.against import SCENARIOS
from benchmarks.figures import Result, Section
from benchmarks.peers import postgres
from benchmarks.peers.environments import MAIN, Missing, redis_version, versions_of
from benchmarks.plan import Plan, say
from benchmarks.revisions import NoRevision
from benchmarks.scenarios import ALL
from benchmarks.servers import Running, answers, raw_asgi

LATEST = Path(__file__).parent / "results" / "latest.json"
"""The last committed result."""


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1: a scenario failed, or a figure is worse than the committed one. Missed goals are shown only."""
    args = _parser().parse_args(arguments)
    # A run that is ended ends its servers, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    names = {*args.names, *(args.only or ())}
    if args.against:
        return _against(args, names)
    if unknown := names - {scenario.NAME for scenario in ALL}:
        sys.exit(f"there is no scenario {', '.join(sorted(unknown))}")
    wanted = [scenario for scenario in ALL if not names or scenario.NAME in names]
    out = Path(args.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=args.scratch) as scratch:
        rounds = args.rounds or (2 if args.quick else 5)
        seconds = args.seconds or (0.8 if args.quick else 3.0)
        plan = Plan(args.quick, rounds, seconds, Path(scratch))
        say("preparing the peers' environments")
        peers = _peers(plan, wanted)
        result = uvloop.run(_measure(plan, wanted, peers))
    changes: list[regression.Change] = []
    uncompared: list[str] = []
    if LATEST.exists():
        committed = msgspec.json.decode(LATEST.read_bytes(), type=Result)
        changes, uncompared = regression.compare(result, committed), regression.uncompared(result, committed)
    page = report.markdown(result, changes, uncompared)
    _write(out, result, page)
    if args.commit:
        _write(LATEST.parent, result, report.markdown(result))
    print(page)
    say(f"written to {out}")
    failed = [section.name for section in result.sections if section.failed]
    slower = [f"{change.scenario}: {change.name} ({change.factor:.2f})" for change in changes if change.worse]
    for line in (*(f"failed: {name}" for name in failed), *(f"slower than committed: {line}" for line in slower)):
        say(line)
    return 1 if failed or slower else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="under 3 minutes: main peers only, fewer, shorter rounds and curves",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="these scenarios; all of them without a name")
    parser.add_argument(
        "--only", action="extend", type=lambda text: text.split(","), metavar="NAME,…", help="the same as a list"
    )
    parser.add_argument("--out", default="bench-out", help="folder of the results (./bench-out)")
    parser.add_argument("--rounds", type=int, help="samples of each figure (5, quick 2)")
    parser.add_argument("--seconds", type=float, help="duration of a sample (3, quick 0.8)")
    parser.add_argument("--scratch", help="folder on the disk whose fsync counts (the system's temporary folder)")
    parser.add_argument("--commit", action="store_true", help="also write benchmarks/results, to be committed")
    pairs = parser.add_argument_group(
        "against a commit",
        "Installs it and this checkout side by side and measures them by turns. It holds if the\n"
        "median of new by old is within the bound, or its 95 % interval includes 1.00, for CPU per\n"
        "request, start to first answer and memory at rest. An interval wider than 5 % to both sides\n"
        "is measured again. Exit code 1: something does not hold. It takes about ten minutes.\n"
        f"Scenarios: {', '.join(SCENARIOS)}.",
    )
    pairs.add_argument("--against", metavar="REVISION", help="compare with this commit instead of with peers")
    pairs.add_argument("--pairs", type=int, default=paired.PAIRS, help=f"alternating pairs ({paired.PAIRS})")
    pairs.add_argument(
        "--bound", type=float, default=paired.BOUND, help=f"largest median that holds ({paired.BOUND}; 1.06 where work "
        "was added to each request)",
    )  # fmt: skip
    return parser


def _against(args: argparse.Namespace, names: set[str]) -> int:
    """Exit code 0: it holds; 1: it does not; 2: the commit cannot be had, or a name is none of these."""
    if unknown := names - SCENARIOS.keys():
        say(f"--against measures {', '.join(SCENARIOS)}, not {', '.join(sorted(unknown))}")
        return 2
    with tempfile.TemporaryDirectory(prefix="bench-", dir=args.scratch) as scratch:
        measured = against.measure(
            args.against, names, pairs=args.pairs, bound=args.bound, seconds=args.seconds or 1.0, scratch=Path(scratch)
        )
        try:
            return 0 if uvloop.run(measured) else 1
        except NoRevision as error:
            say(str(error))
            return 2


async def _measure(plan: Plan, wanted: list[ModuleType], peers: dict[str, str]) -> Result:
    began = time.perf_counter()
    about = machine.describe(plan.scratch) | {"peers": peers}
    result = Result(datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), plan.quick, 0.0, about, [])
    with raw_asgi(plan.scratch / "limits") as bare:
        await answers(bare)
        await limits.sampled(bare, plan.scratch)
        for scenario in wanted:
            result.sections.append(await _section(scenario, plan, bare))
    result.seconds = time.perf_counter() - began
    return result


async def _section(scenario: ModuleType, plan: Plan, bare: Running) -> Section:
    """One scenario between two samples of the limits. An error ends the scenario, not the run."""
    section = Section(scenario.NAME, scenario.TITLE)
    say(f"{scenario.NAME}: {scenario.TITLE}")
    began = time.perf_counter()
    before = await limits.sampled(bare, plan.scratch)
    try:
        await scenario.measure(plan, section)
    except Exception as error:
        section.failed = f"{type(error).__name__}: {error}"
        say(f"  {section.failed}")
    after = await limits.sampled(bare, plan.scratch)
    section.limits |= {name: [before[name], after[name]] for name in before}
    if unknown := {figure.limit for figure in section.figures if figure.limit} - section.limits.keys():
        section.failed = section.failed or f"nobody measures the limits {', '.join(sorted(unknown))}"
    section.seconds = time.perf_counter() - began
    say(f"  {section.seconds:.0f} s")
    return section


def _peers(plan: Plan, wanted: list[ModuleType]) -> dict[str, str]:
    """What the environment of each peer holds that is measured, and what the queue libraries keep their work in."""
    peers = dict.fromkeys(peer for scenario in wanted for peer in getattr(scenario, "PEERS", ()))
    found = {peer: _told(partial(_held, peer)) for peer in peers if not plan.quick or peer in MAIN}
    if "celery" in found:
        found["redis"] = _told(lambda: f"{redis_version()}, its defaults: snapshots, no fsync before it answers")
    if "pgqueuer" in found:
        found["postgresql"] = _told(lambda: f"{postgres.version()}, its defaults: fsync on, synchronous_commit on")
    return found


def _held(peer: str) -> str:
    return " ".join(f"{name} {version}" for name, version in versions_of(peer).items())


def _told(version: Callable[[], str]) -> str:
    try:
        return version()
    except Missing as missing:
        return f"left out: {missing}"


def _write(folder: Path, result: Result, page: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "latest.json").write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
    (folder / "latest.md").write_text(page)
    (folder / "latest.svg").write_text(picture.svg(result))


if __name__ == "__main__":
    sys.exit(main())
