"""The report of a run, for people and for programs; reports of several runs add up to one."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from pondage.torture.auditor import Audit
from pondage.torture.evidence import Evidence, FaultSeen

FINDINGS_SHOWN = 20


class Report(msgspec.Struct, kw_only=True):
    """What one run, or several, showed. Durations in seconds."""

    version: str
    seeds: list[int]
    requests: int
    seconds: float
    acknowledged: int
    lost: int
    duplicate_results: int
    extra_runs: int
    killed_slots: int
    executed: int
    kills: int
    kills_by_kind: dict[str, int]
    disturbances: dict[str, int]
    damages_refused: int
    hostile: dict[str, int] = {}
    """Connections of hostile callers, by what they did."""
    outcomes: dict[str, int]
    streams: int
    cut_streams: int
    webhooks: int
    deliveries: int
    recoveries: list[float]
    findings: dict[str, int]
    examples: list[str]
    cut_short: bool = False
    """The time was over before all kills were done."""

    @property
    def sound(self) -> bool:
        return not self.findings


def make(
    audit: Audit, evidence: Evidence, *, version: str, seed: int, requests: int, seconds: float, cut: bool
) -> Report:
    """The report of one run."""
    kills = [fault for fault in evidence.faults if fault.kills]
    return Report(
        version=version,
        seeds=[seed],
        requests=requests,
        seconds=round(seconds, 1),
        acknowledged=audit.acknowledged,
        lost=audit.lost,
        duplicate_results=audit.count("duplicate_result"),
        extra_runs=audit.extra_runs,
        killed_slots=audit.killed_slots,
        executed=audit.executed,
        kills=len(kills),
        kills_by_kind=_by_kind(kills),
        disturbances=_by_kind([fault for fault in evidence.faults if not fault.kills]),
        damages_refused=sum(damage.refused for damage in evidence.damages),
        hostile=evidence.hostile,
        outcomes=audit.outcomes,
        streams=audit.streams,
        cut_streams=audit.cut_streams,
        webhooks=audit.webhooks,
        deliveries=audit.deliveries,
        recoveries=[round(fault.recovery, 3) for fault in kills if fault.recovery is not None],
        findings=dict(Counter(finding.what for finding in audit.findings)),
        examples=[" ".join(finding) for finding in audit.findings[:FINDINGS_SHOWN]],
        cut_short=cut,
    )


def _by_kind(faults: list[FaultSeen]) -> dict[str, int]:
    return dict(sorted(Counter(fault.kind for fault in faults).items()))


def add(reports: Sequence[Report]) -> Report:
    """One report of several runs.

    Raises:
        ValueError: there is none.
    """
    if not reports:
        raise ValueError("there is no report to add")
    whole: dict[str, Any] = msgspec.to_builtins(reports[0])
    for report in reports[1:]:
        for name, value in msgspec.to_builtins(report).items():
            if name == "version":
                whole[name] = " ".join(dict.fromkeys([*whole[name].split(), value]))
            elif name == "cut_short":
                whole[name] = whole[name] or value
            elif isinstance(value, dict):
                whole[name] = {k: whole[name].get(k, 0) + value.get(k, 0) for k in sorted({*whole[name], *value})}
            else:
                whole[name] = whole[name] + value
    total = msgspec.convert(whole, Report)
    total.seconds = round(total.seconds, 1)
    total.examples = total.examples[:FINDINGS_SHOWN]
    return total


def summary(report: Report) -> str:
    """The last line."""
    median = statistics.median(report.recoveries) if report.recoveries else 0.0
    longest = max(report.recoveries, default=0.0)
    return (
        f"acknowledged={report.acknowledged} lost={report.lost} duplicate_results={report.duplicate_results} "
        f"extra_runs={report.extra_runs} kills={report.kills} recovery_p50={median:.2f}s recovery_max={longest:.2f}s"
    )


def text(report: Report) -> list[str]:
    """The report as lines, the summary last."""
    seeds = ", ".join(map(str, report.seeds))
    lines = [
        f"pondage {report.version} torture: seed {seeds}, {report.seconds:g} s",
        "",
        f"  kills            {report.kills}: {_listed(report.kills_by_kind)}",
        f"  other faults     {sum(report.disturbances.values())}: {_listed(report.disturbances)}",
        f"  damage           {report.damages_refused} times refused and reported, never served",
        f"  hostile callers  {sum(report.hostile.values())} connections: {_listed(report.hostile)}",
        f"  acknowledged     {report.acknowledged} requests; they ended: {_listed(report.outcomes)}",
        f"  executed         {report.executed} times; {report.extra_runs} extra runs, "
        f"{report.killed_slots} slots were killed",
        f"  streams          {report.streams} followed over dropped connections; {report.cut_streams} ended with an "
        "error because their runner was killed",
        f"  webhooks         {report.webhooks} owed, {report.deliveries} accepted (at least once each)",
        f"  lost             {report.lost}",
        f"  duplicate results  {report.duplicate_results}",
    ]
    if report.cut_short:
        lines.append("  the time was over before all kills were done; raise --minutes")
    if report.findings:
        lines += ["", f"  NOT SOUND: {_listed(report.findings)}"]
        lines += [f"    {example}" for example in report.examples]
    return [*lines, "", summary(report)]


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"
