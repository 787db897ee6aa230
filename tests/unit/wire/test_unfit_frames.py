"""A frame that cannot travel costs no other one, and something that says so comes in its place."""

from __future__ import annotations

from typing import Any

import pytest

from pondage.wire import frames, packets
from pondage.wire.events import Chunk, Log, Outcome
from pondage.wire.frames import Entries, Finished, Frame, Heartbeat, Poisoned, Ready, RunnerLog, SetupFailed
from pondage.wire.packets import PacketReader
from pondage.wire.states import OutcomeKind

HALF = "caf\udce9"


def travel(*sent: Frame) -> list[Any]:
    reader = PacketReader(frames.from_runner)
    wire = b"".join(bytes(b) for packet in packets.packets(sent) for b in packet.buffers)
    return [frame for received in reader.feed(wire) for frame in received]


def outcome(**more: Any) -> Outcome:
    return Outcome(**({"kind": OutcomeKind.OK, "status": 200, "body": b"1"} | more))


@pytest.mark.parametrize(
    "unfit",
    [
        Finished("r", 1, outcome(headers={"x": HALF})),
        Finished("r", 1, outcome(error=object())),
        Entries("r", 1, [Log(1.0, "INFO", HALF)]),
        Entries("r", 1, [Log(1.0, "INFO", "good"), Log(2.0, "INFO", 10**30)]),  # type: ignore[arg-type]
        RunnerLog([Log(1.0, "INFO", "good", HALF), Log(2.0, "INFO", "good")]),
        Poisoned("r", 1, HALF),
        Ready(object()),  # type: ignore[arg-type]
    ],
)
def test_the_others_arrive(unfit: Frame) -> None:
    good = [Finished(f"n{n}", 1, outcome()) for n in range(5)]
    received = travel(*good[:2], unfit, *good[2:], Heartbeat())
    assert [f for f in received if isinstance(f, Finished) and f.request_id != "r"] == good
    assert received[-1] == Heartbeat()
    instead = [f for f in received if f not in good and f != Heartbeat()]
    if isinstance(unfit, Finished):
        assert instead[0].outcome.status == 500 and "handed in" in instead[0].outcome.error
    elif isinstance(unfit, Ready):
        assert isinstance(instead[0], SetupFailed)
    elif isinstance(unfit, Entries | RunnerLog):
        said = [entry.message for frame in instead for entry in frame.entries]
        assert len(said) == len(unfit.entries)
        assert any("could not be sent" in message for message in said)
        assert said.count("good") == len(unfit.entries) - 1


def test_what_is_too_large_is_cut_into_packets_or_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packets, "MAX_PACKET", 10_000)
    many = Entries("r", 1, [Chunk(1.0, n, b"x" * 3000) for n in range(1, 11)])
    received = travel(many, Finished("big", 1, outcome(body=b"x" * 20_000)), Finished("small", 1, outcome()))
    chunks = [e for f in received if isinstance(f, Entries) for e in f.entries]
    assert chunks == many.entries
    big, small = (f for f in received if isinstance(f, Finished))
    assert (big.outcome.status, small.outcome.status) == (500, 200)
    assert "20" in (big.outcome.error or "") and "10000" in (big.outcome.error or "")
