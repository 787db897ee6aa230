"""The bytes of every frame are pinned: a change that is no addition at the end is a new VERSION."""

from __future__ import annotations

import msgspec
import pytest

from pondage.wire import frames
from pondage.wire.events import Chunk, Log, Outcome, Progress
from pondage.wire.frames import Frame
from pondage.wire.packets import BULK, packets
from pondage.wire.states import OutcomeKind

FROM_RUNNER: list[tuple[Frame, object]] = [
    (frames.Hello(1, "r", "a/b", 7, "t", [("q", 2)]), ["hello", 1, "r", "a/b", 7, "t", [["q", 2]]]),
    (frames.SetupFailed("why", "f:1", "tb"), ["failed", "why", "f:1", "tb"]),
    (frames.Heartbeat(4), ["beat", 4]),
    (
        frames.Entries("q", 1, [Log(1.5, "INFO", "m", "s"), Progress(2.5, 1.0, 2.0, "p"), Chunk(3.5, 1, b"{}")]),
        ["entries", "q", 1, [["l", 1.5, "INFO", "m", "s"], ["p", 2.5, 1.0, 2.0, "p"], ["c", 3.5, 1, b"{}"]]],
    ),
    (
        frames.Finished("q", 1, Outcome(OutcomeKind.OK, 200, b"{}", {"h": "v"}, None, None, 0.5), True),
        ["finished", "q", 1, ["ok", 200, b"{}", {"h": "v"}, None, None, 0.5, None], True],
    ),
    (frames.RunnerLog([Log(1.5, "STDOUT", "m")]), ["log", [["l", 1.5, "STDOUT", "m", ""]]]),
    (frames.Preview("q", 1, b"\xff\xd8"), ["look", "q", 1, b"\xff\xd8"]),
    (frames.Poisoned("q", 1, "why"), ["poisoned", "q", 1, "why"]),
    (frames.FilePut(1, "q", "n", "t", 5, "{}"), ["put", 1, "q", "n", "t", 5, "{}"]),
    (frames.FileGet(1, "u", "r"), ["get", 1, "u", "r"]),
]
FROM_GATEWAY: list[tuple[Frame, object]] = [
    (
        frames.Welcome(1, 2.0, 10.0, 30.0, 5.0, ["h"], True, 9),
        ["welcome", 1, 2.0, 10.0, 30.0, 5.0, ["h"], True, 9, 16384, 100_000, 4_194_304, 300.0, 60],
    ),
    (
        frames.Execute("q", 1, "/", "call", b"{}", {"h": "v"}, "http://x", 5.0, "k"),
        ["execute", "q", 1, "/", "call", b"{}", {"h": "v"}, "http://x", 5.0, "k"],
    ),
    (frames.Cancel("q", 1, "stale"), ["cancel", "q", 1, "stale"]),
    (frames.Committed("q", 1, True, 7), ["committed", "q", 1, True, 7]),
    (frames.Drain(5.0), ["drain", 5.0]),
    (frames.Credentials("t"), ["credentials", "t"]),
    (frames.SessionMore("q", 7), ["smore", "q", 7]),
    (frames.FileStored(1, "u", "t", 5, "e", "y"), ["stored", 1, "u", "t", 5, "e", "y"]),
]
BOTH_WAYS: list[tuple[Frame, object]] = [
    (frames.FileSlice(1, b"d", True), ["slice", 1, b"d", True]),
    (frames.FileMore(1, 2), ["more", 1, 2]),
    (frames.SessionMessage("q", b"d", True, True), ["smsg", "q", b"d", True, True]),
    (frames.SessionClose("q", 1001, "why"), ["sclose", "q", 1001, "why"]),
]


@pytest.mark.parametrize(
    ("frame", "shape"), [*FROM_RUNNER, *FROM_GATEWAY, *BOTH_WAYS], ids=lambda value: type(value).__name__
)
def test_a_frame_has_its_shape(frame: Frame, shape: object) -> None:
    """What was pinned comes first; fields that were added since may follow."""
    (seen,) = msgspec.msgpack.decode(frames.pack([frame]))
    assert isinstance(shape, list)
    assert seen[: len(shape)] == shape


def test_each_side_reads_what_the_other_wrote() -> None:
    sent = [frame for frame, _ in [*FROM_RUNNER, *BOTH_WAYS]]
    assert frames.from_runner(frames.pack(sent)) == sent
    sent = [frame for frame, _ in [*FROM_GATEWAY, *BOTH_WAYS]]
    assert frames.from_gateway(frames.pack(sent)) == sent


def test_the_bytes_of_a_packet() -> None:
    packet = frames.pack([frames.Committed("q", 1, True), frames.Heartbeat()])
    assert packet.hex() == "9295a9636f6d6d6974746564a17101c30092a46265617400"
    assert frames.VERSION == 5
    ((head,),) = [packet.buffers for packet in packets([frames.Heartbeat()])]
    assert bytes(head).hex() == "00000008" + "9192a46265617400"
    ((head, data),) = [packet.buffers for packet in packets([frames.FileSlice(1, bytes(BULK), True)])]
    assert bytes(head).hex() == "8000000c" + "00004000" + "9194a5736c69636501c400c3"
    assert bytes(data) == bytes(BULK)


def test_a_reader_of_this_version_passes_over_fields_of_the_next() -> None:
    packet = msgspec.msgpack.encode([["beat", 2, "a field of tomorrow"]])
    assert frames.from_runner(packet) == [frames.Heartbeat(2)]


def test_what_is_no_frame_is_refused() -> None:
    for packet in (
        b"\xc1",
        b"\x90\x90",
        msgspec.msgpack.encode([["unknown", 1]]),
        msgspec.msgpack.encode([["beat", "x"]]),
    ):
        with pytest.raises(msgspec.MsgspecError):
            frames.from_runner(packet)
