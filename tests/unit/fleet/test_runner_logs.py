"""The newest lines of an app's runners, in order, and no more of them than allowed."""

from __future__ import annotations

from pondage.clock import ManualClock
from pondage.fleet.runner_logs import RunnerLogs
from pondage.wire.events import Log, Progress


def test_the_newest_lines_are_kept_in_order() -> None:
    logs = RunnerLogs(ManualClock(), 3)
    logs.runner_log("a/b", "r1", [Log(1.0, "STDOUT", "one"), Log(2.0, "STDOUT", "two"), Progress(2.5, 1)])
    logs.note("a/b", "r1", "WARN", "three")
    logs.runner_log("a/b", "r2", [Log(4.0, "ERROR", "four")])
    assert [line.message for line in logs.lines("a/b")] == ["two", "three", "four"]
    assert [line.runner for line in logs.lines("a/b")] == ["r1", "r1", "r2"]
    assert logs.lines("a/other") == []
