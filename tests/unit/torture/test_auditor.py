"""The auditor finds each kind of loss that is planted, and nothing where there is none."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

import msgspec
import pytest

from pondage.files.folder import refused
from pondage.queue.counts import Rollup, Usage
from pondage.torture.auditor import FINDINGS, audit
from pondage.torture.counted import Counted
from pondage.torture.evidence import Ack, Damage, Evidence, FaultSeen, Row, Run, Seen, StreamSeen


def row(request_id: str, kind: str = "ok", **more: object) -> Row:
    status = {"ok": 200, "cancelled": 499}.get(kind, 500)
    fields = {
        "error": "",
        "attempt": 1,
        "completed": 1,
        "attempts": [],
        "execution": f"x{request_id}",
        "webhook": False,
    }
    return msgspec.convert({"request_id": request_id, "kind": kind, "status": status, **fields, **more}, Row)


def sound() -> Evidence:
    """A run in which all went well: a call, one with a webhook, a stream that was cut off, one that was cancelled."""
    return Evidence(
        acks=[
            Ack("a", 1, "result", "k1"),
            Ack("b", 2, "webhook", "k2", webhook=True),
            Ack("c", 3, "stream", "k3"),
            Ack("d", 4, "cancel", "k4"),
            Ack("e", 5, "race", "k5"),
            Ack("e", 5, "race", "k5"),
        ],
        seen=[
            Seen("a", 200, execution="xa"),
            Seen("a", 200, execution="xa"),
            Seen("b", 200, execution="xb"),
            Seen("c", 500, "runner_disconnected"),
            Seen("d", 499, "client_cancelled"),
        ],
        streams=[StreamSeen("c", 12, [("xc", 0), ("xc", 1)])],
        runs=[Run("a", 1, "xa", "r1"), Run("b", 1, "xb0", "r1"), Run("b", 2, "xb", "r2"), Run("c", 1, "xc", "r1")],
        runners=3,
        rows={
            "a": row("a"),
            "b": row("b", attempt=2, attempts=[1, 2], webhook=True),
            "c": row("c", "error", error="runner_disconnected", execution=""),
            "d": row("d", "cancelled", execution=""),
            "e": row("e"),
        },
        delivered={"b": 2},
        faults=[FaultSeen("runner", True, 1.0, 0.5)],
        damages=[Damage("database", True)],
        stored={"/files/1", "/files/2"},
        reread={"/files/1": True, "/files/2": True},
        counted=Counted(
            usage=Usage(submitted=5, ok=3, error=1, cancelled=1, lost=2, waited=2.5, runner=1.0, input_bytes=9),
            minutes=Rollup(submitted=5, ok=3, error=1, cancelled=1, lost=2, waits={0: 5}, runs={0: 5}, totals={0: 5}),
            hours=Rollup(submitted=5, ok=3, error=1, cancelled=1, lost=2, waits={0: 5}, runs={0: 5}, totals={0: 5}),
            totals=Rollup(submitted=5, ok=3, error=1, cancelled=1, lost=2, waits={0: 5}, runs={0: 5}, totals={0: 5}),
            errors=1,
        ),
        added_up=Usage(submitted=5, ok=3, error=1, cancelled=1, lost=1, waited=2.5, input_bytes=9),
    )


def test_a_run_in_which_all_went_well() -> None:
    judged = audit(sound())
    assert judged.findings == [] and judged.sound
    assert (judged.acknowledged, judged.lost, judged.executed, judged.extra_runs) == (5, 0, 4, 1)
    assert judged.killed_slots == 8, "one of three runners is gone"
    assert judged.outcomes == {"ok": 3, "error": 1, "cancelled": 1}
    assert (judged.streams, judged.cut_streams, judged.webhooks, judged.deliveries) == (1, 1, 1, 2)


@pytest.mark.parametrize(
    "error", [refused(OSError(number, os.strerror(number))) for number in (errno.ENOSPC, errno.EIO)], ids=str
)
def test_a_function_may_be_told_that_its_file_cannot_be_stored(error: Exception) -> None:
    """The words of the folder of files are those that the auditor knows; only for calls that store a file."""
    evidence = sound()
    evidence.rows["a"] = row("a", "error", status=500, error=f"FileRefused: backwards.bin: {error}", execution="")
    evidence.seen[:] = [seen for seen in evidence.seen if seen.request_id != "a"]
    assert [finding.what for finding in audit(evidence).findings] == ["error"]
    evidence.acks[0] = msgspec.structs.replace(evidence.acks[0], kind="file")
    assert audit(evidence).findings == []


def lose(e: Evidence) -> None:
    del e.rows["a"]


def stay_unfinished(e: Evidence) -> None:
    e.rows["a"] = row("a", "", status=0, completed=0)


def see_two_results(e: Evidence) -> None:
    e.seen.append(Seen("a", 200, execution="another"))


def store_another_result(e: Evidence) -> None:
    e.rows["b"] = row("b", execution="xb0")


def see_error_then_result(e: Evidence) -> None:
    e.seen.append(Seen("d", 200, execution="xd"))


def mix_results_up(e: Evidence) -> None:
    e.seen.append(Seen("e", 200, execution="xe", right=False))


def complete_twice(e: Evidence) -> None:
    e.rows["a"] = row("a", completed=2)


def lower_an_attempt(e: Evidence) -> None:
    e.rows["b"] = row("b", attempt=1, attempts=[1, 2])


def never_deliver(e: Evidence) -> None:
    e.delivered.clear()


def still_owe(e: Evidence) -> None:
    e.owed.append("b")


def miss_a_piece(e: Evidence) -> None:
    e.streams[0] = StreamSeen("c", 12, [("xc", 0), ("xc", 2)])


def show_a_piece_twice(e: Evidence) -> None:
    e.streams[0] = StreamSeen("c", 12, [("xc", 0), ("xc", 1), ("xc", 1)])


def show_two_executions(e: Evidence) -> None:
    e.streams[0] = StreamSeen("c", 12, [("xc", 0), ("xc2", 0)])


def end_a_stream_early(e: Evidence) -> None:
    e.rows["c"] = row("c", execution="")
    e.seen[3] = Seen("c", 200)


def split_a_key(e: Evidence) -> None:
    e.acks.append(Ack("a", 5, "race", "k5"))


def fail_for_no_reason(e: Evidence) -> None:
    e.rows["a"] = row("a", "error", error="runner_disconnected", execution="")
    e.seen = [seen for seen in e.seen if seen.request_id != "a"]


def change_a_file(e: Evidence) -> None:
    e.files_wrong.append("a")


def lose_an_upload(e: Evidence) -> None:
    del e.reread["/files/1"]


def change_an_upload(e: Evidence) -> None:
    e.reread["/files/1"] = False


def serve_damage(e: Evidence) -> None:
    e.damages.append(Damage("file", False))


def run_too_often(e: Evidence) -> None:
    e.runs += [Run("a", n, f"again{n}", "r1") for n in range(8)]


def raise_something(e: Evidence) -> None:
    e.troubles.append("NotFound")


def count_twice(e: Evidence) -> None:
    e.counted.usage.ok += 1


def count_no_bytes(e: Evidence) -> None:
    e.counted.usage.input_bytes = 0


def count_other_waits(e: Evidence) -> None:
    e.counted.usage.waited += 0.1


def forget_a_lost_attempt(e: Evidence) -> None:
    e.counted.usage.lost = e.counted.minutes.lost = e.counted.hours.lost = e.counted.totals.lost = 0


def lose_too_many(e: Evidence) -> None:
    e.counted.usage.lost = e.counted.minutes.lost = e.counted.hours.lost = e.counted.totals.lost = 4


def leave_a_minute_out(e: Evidence) -> None:
    e.counted.minutes.submitted -= 1


def leave_a_duration_out(e: Evidence) -> None:
    e.counted.hours.runs[0] -= 1


def group_no_errors(e: Evidence) -> None:
    e.counted.errors = 0


def charge_nobody(e: Evidence) -> None:
    e.counted.usage.runner = 0.0


def forget_a_receipt(e: Evidence) -> None:
    for counts in (e.counted.usage, e.counted.minutes, e.counted.hours, e.counted.totals, e.added_up):
        counts.submitted -= 1


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (lose, "lost"),
        (stay_unfinished, "unfinished"),
        (see_two_results, "duplicate_result"),
        (store_another_result, "duplicate_result"),
        (see_error_then_result, "duplicate_result"),
        (mix_results_up, "wrong_result"),
        (complete_twice, "completed_events"),
        (lower_an_attempt, "attempts"),
        (never_deliver, "webhook"),
        (still_owe, "webhook"),
        (miss_a_piece, "stream"),
        (show_a_piece_twice, "stream"),
        (show_two_executions, "stream"),
        (end_a_stream_early, "stream"),
        (split_a_key, "key"),
        (fail_for_no_reason, "error"),
        (change_a_file, "file"),
        (lose_an_upload, "file"),
        (change_an_upload, "file"),
        (serve_damage, "damage_served"),
        (run_too_often, "extra_runs"),
        (raise_something, "trouble"),
        (count_twice, "usage"),
        (count_no_bytes, "usage"),
        (count_other_waits, "usage"),
        (forget_a_lost_attempt, "usage"),
        (lose_too_many, "usage"),
        (leave_a_minute_out, "usage"),
        (leave_a_duration_out, "usage"),
        (group_no_errors, "usage"),
        (charge_nobody, "usage"),
        (forget_a_receipt, "usage"),
    ],
)
def test_what_is_planted_is_found_and_nothing_else(plant: Callable[[Evidence], None], found: str) -> None:
    evidence = sound()
    plant(evidence)
    assert {finding.what for finding in audit(evidence).findings} == {found}
    assert found in FINDINGS


def test_lost_and_unfinished_both_count_as_lost() -> None:
    evidence = sound()
    lose(evidence)
    evidence.rows["e"] = row("e", "", status=0, completed=0)
    assert audit(evidence).lost == 2
