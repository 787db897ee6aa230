"""Reports: the last line, and several that add up to one."""

from __future__ import annotations

import msgspec
import pytest

from pondage.torture import report
from pondage.torture.report import Report


def made(seed: int, **more: object) -> Report:
    fields = {
        "version": "1", "seeds": [seed], "requests": 100, "seconds": 10.0, "acknowledged": 90, "lost": 0,
        "duplicate_results": 0, "extra_runs": 2, "killed_slots": 16, "executed": 92, "kills": 2,
        "kills_by_kind": {"gateway": 1, "runner": 1}, "disturbances": {"disk_full": 1}, "damages_refused": 0,
        "outcomes": {"ok": 90}, "streams": 3, "cut_streams": 1, "webhooks": 4, "deliveries": 5,
        "recoveries": [0.5, 0.7], "findings": {}, "examples": [],
    }  # fmt: skip
    return msgspec.convert({**fields, **more}, Report)


def test_the_last_line() -> None:
    assert report.text(made(1))[-1] == (
        "acknowledged=90 lost=0 duplicate_results=0 extra_runs=2 kills=2 recovery_p50=0.60s recovery_max=0.70s"
    )


def test_reports_add_up() -> None:
    second = made(
        2, lost=1, kills_by_kind={"power": 2}, recoveries=[2.0, 0.1], findings={"lost": 1}, examples=["lost a"]
    )
    whole = report.add([made(1), second])
    assert (whole.seeds, whole.acknowledged, whole.kills, whole.lost) == ([1, 2], 180, 4, 1)
    assert whole.kills_by_kind == {"gateway": 1, "power": 2, "runner": 1}
    assert (whole.version, whole.seconds) == ("1", 20.0)
    assert not whole.sound and "NOT SOUND: lost 1" in "\n".join(report.text(whole))
    assert report.summary(whole).endswith("recovery_p50=0.60s recovery_max=2.00s")


def test_no_report_is_no_sum() -> None:
    with pytest.raises(ValueError, match="no report"):
        report.add([])
