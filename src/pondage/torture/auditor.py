"""The auditor: compares what the callers wrote down with what the database, the runners and the receiver know. Pure.

What it proves for every acknowledged request: it is in the database and has ended, with one outcome; every caller saw
that outcome and no other; its input came out as its own result; its attempts only grew; its webhook was delivered; its
stream had no gap and no piece twice. And of all of them: the function ran more than once only where a kill explains it,
and what was counted (usage, rollups, groups of errors) is what the requests add up to.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import NamedTuple

from pondage.torture.counted import differences
from pondage.torture.evidence import Ack, Evidence, Row, StreamSeen
from pondage.torture.words import RUNNERS, SLOTS

_EXPECTED = {
    "stream": ("runner_disconnected",),
    "file": (
        "the disk is full", "the database cannot be written",
        "the disk with the files is full", "the folder of files cannot be used just now",
    ),
}  # fmt: skip
"""Errors in which a kind of call may end: a stream whose runner was killed after a piece had been seen, and a function
that was told that its file cannot be stored while the disk was full or failed."""


class Finding(NamedTuple):
    """Something that must not be. `what` is one of the words in `FINDINGS`."""

    what: str
    request_id: str
    detail: str


FINDINGS = (
    "lost", "unfinished", "duplicate_result", "wrong_result", "completed_events", "attempts", "webhook", "stream",
    "key", "error", "file", "damage_served", "extra_runs", "trouble", "usage",
)  # fmt: skip


class Audit(NamedTuple):
    """What was found, and the figures of the report."""

    acknowledged: int
    findings: list[Finding]
    executed: int
    extra_runs: int
    killed_slots: int
    """So many extra runs the kills explain."""
    outcomes: dict[str, int]
    streams: int
    cut_streams: int
    """Streams that ended with an error, because their runner was killed after a piece was seen."""
    webhooks: int
    deliveries: int

    def count(self, *what: str) -> int:
        return sum(finding.what in what for finding in self.findings)

    @property
    def lost(self) -> int:
        return self.count("lost", "unfinished")

    @property
    def sound(self) -> bool:
        return not self.findings


def audit(evidence: Evidence) -> Audit:
    """Judge a run."""
    acknowledged = {ack.request_id: ack for ack in evidence.acks}
    findings = [f for ack in acknowledged.values() for f in _of_ack(ack, evidence)]
    findings += [Finding("webhook", i, "a delivery is still owed, or was given up") for i in evidence.owed]
    findings += [f for row in evidence.rows.values() for f in _of_row(row)]
    findings += _results(evidence)
    findings += [f for stream in evidence.streams for f in _of_stream(stream, evidence.rows.get(stream.request_id))]
    findings += _keys(evidence)
    findings += [Finding("file", name, "its bytes are not those that were stored") for name in evidence.files_wrong]
    findings += _uploads(evidence)
    findings += [Finding("damage_served", d.what, d.said) for d in evidence.damages if not d.refused]
    findings += [Finding("trouble", "", what) for what in evidence.troubles]
    findings += _usage(evidence, len(acknowledged))
    extra, allowed, runs = _runs(evidence)
    if extra > allowed:
        findings.append(Finding("extra_runs", "", f"{extra} extra runs, and {allowed} slots were killed"))
    return Audit(
        acknowledged=len(acknowledged),
        findings=findings,
        executed=runs,
        extra_runs=extra,
        killed_slots=allowed,
        outcomes=dict(Counter(evidence.rows[i].kind or "still queued" for i in acknowledged if i in evidence.rows)),
        streams=len(evidence.streams),
        cut_streams=sum(
            evidence.rows[s.request_id].kind == "error" for s in evidence.streams if s.request_id in evidence.rows
        ),
        webhooks=sum(ack.webhook for ack in acknowledged.values()),
        deliveries=sum(evidence.delivered.values()),
    )


def _of_ack(ack: Ack, evidence: Evidence) -> list[Finding]:
    """What was acknowledged is there, has ended, and well."""
    findings = []
    request_id = ack.request_id
    row = evidence.rows.get(request_id)
    if row is None:
        findings.append(Finding("lost", request_id, f"{ack.kind} {ack.n} is not in the database"))
    elif not row.kind and ack.kind != "queued":
        findings.append(Finding("unfinished", request_id, f"{ack.kind} {ack.n}, attempt {row.attempt}"))
    elif row.kind == "error" and not any(said in row.error for said in _EXPECTED.get(ack.kind, ())):
        findings.append(Finding("error", request_id, f"{ack.kind} ended with {row.status} {row.error}"))
    if ack.webhook and not evidence.delivered.get(request_id):
        findings.append(Finding("webhook", request_id, "its webhook was never delivered"))
    return findings


def _of_row(row: Row) -> list[Finding]:
    findings = []
    if row.kind and row.completed != 1:
        findings.append(Finding("completed_events", row.request_id, f"{row.completed} completed events"))
    if row.attempts and max(row.attempts) > row.attempt:
        findings.append(Finding("attempts", row.request_id, f"events of {row.attempts}, but attempt {row.attempt}"))
    return findings


def _results(evidence: Evidence) -> list[Finding]:
    """Every caller saw the one outcome that the database holds."""
    findings = []
    seen: defaultdict[str, set[tuple[int, str]]] = defaultdict(set)
    for one in evidence.seen:
        seen[one.request_id].add((one.status, one.execution))
        if not one.right:
            findings.append(Finding("wrong_result", one.request_id, "the result is not that of its input"))
    for request_id, results in seen.items():
        row = evidence.rows.get(request_id)
        known = set(results)
        if row is not None and row.kind:
            known.add((row.status, row.execution if row.kind == "ok" else ""))
        # A stream's outcome bears no execution where the caller read it as a list.
        known = {(s, e) for s, e in known if e or not any(other == s and name for other, name in known)}
        if len(known) > 1:
            findings.append(Finding("duplicate_result", request_id, f"seen and stored: {sorted(known)}"))
    return findings


def _of_stream(stream: StreamSeen, row: Row | None) -> list[Finding]:
    numbers = [i for _, i in stream.pieces]
    if len({execution for execution, _ in stream.pieces}) > 1:
        return [Finding("stream", stream.request_id, f"pieces of two executions: {numbers}")]
    if numbers != list(range(len(numbers))):
        return [Finding("stream", stream.request_id, f"a gap, or a piece twice: {numbers}")]
    if row is not None and row.kind == "ok" and len(numbers) != stream.count:
        return [Finding("stream", stream.request_id, f"ended well with {len(numbers)} of {stream.count} pieces")]
    return []


def _uploads(evidence: Evidence) -> list[Finding]:
    """Every acknowledged upload was read at the end, and was whole."""
    gone = sorted(url for url in evidence.stored if url not in evidence.reread)
    wrong = sorted(url for url, right in evidence.reread.items() if not right)
    return [
        *(Finding("file", url, "an acknowledged upload could not be read at the end") for url in gone),
        *(Finding("file", url, "an acknowledged upload is gone or has other bytes") for url in wrong),
    ]


def _usage(evidence: Evidence, acknowledged: int) -> list[Finding]:
    """What was counted is what happened: in the database, and as the journals have it."""
    wrong = differences(evidence.counted, evidence.added_up)
    if evidence.counted.usage.submitted < acknowledged:
        wrong.append(
            f"usage says {evidence.counted.usage.submitted} submitted, the callers have {acknowledged} receipts"
        )
    if evidence.runs and evidence.counted.usage.runner <= 0.0:
        wrong.append(f"usage says that no runner was busy, the runners have {len(evidence.runs)} runs")
    return [Finding("usage", "", what) for what in wrong]


def _keys(evidence: Evidence) -> list[Finding]:
    """One idempotency key is one request."""
    named: defaultdict[str, set[str]] = defaultdict(set)
    for ack in evidence.acks:
        named[ack.key].add(ack.request_id)
    return [
        Finding("key", min(ids), f"the key {key} names {len(ids)} requests")
        for key, ids in named.items()
        if len(ids) > 1
    ]


def _runs(evidence: Evidence) -> tuple[int, int, int]:
    """Extra runs, how many the kills explain, and all runs.

    A dead runner explains as many as it had slots. A dead gateway explains as many for each runner that lived on: what
    it had handed out was perhaps not committed. Each runner but the last ones has died.
    """
    runs = Counter(run.request_id for run in evidence.runs)
    extra = sum(count - 1 for count in runs.values())
    dead_runners = max(evidence.runners - RUNNERS, 0)
    dead_gateways = sum(fault.kind in ("gateway", "torn_log") for fault in evidence.faults)
    return extra, SLOTS * (dead_runners + RUNNERS * dead_gateways), sum(runs.values())
