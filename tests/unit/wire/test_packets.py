"""Frames in packets: whatever pieces a socket makes of them, what comes out is what went in."""

from __future__ import annotations

import struct

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pondage.wire import frames, packets
from pondage.wire.frames import FileSlice, Frame, Heartbeat, SessionMessage
from pondage.wire.packets import BULK, PacketReader

SIZES = st.sampled_from([0, 1, 100, BULK - 1, BULK, BULK + 1, 3 * BULK])
BYTES = bytes(range(256)) * (3 * BULK // 256)
FRAMES = st.lists(
    st.builds(Heartbeat, st.integers(0, 9))
    | st.builds(lambda size, text: SessionMessage("q", BYTES[:size], text), SIZES, st.booleans())
    | st.builds(lambda ref, size: FileSlice(ref, bytes([ref]) * size, True), st.integers(0, 9), SIZES),
    max_size=6,
)


def written(sent: list[Frame]) -> bytes:
    return b"".join(buffer for packet in packets.packets(sent) for buffer in packet.buffers)


@settings(max_examples=150, deadline=None)
@given(FRAMES, st.lists(st.integers(1, 40_000), max_size=12), st.booleans())
def test_frames_come_out_as_they_went_in(sent: list[Frame], cuts: list[int], reused: bool) -> None:
    """However they are cut. `reused`: the socket's buffer is overwritten after each piece, as a runner's is."""
    reader = PacketReader(frames.from_runner)
    got: list[Frame] = []
    data, at = written(sent), 0
    for size in [*cuts, len(data)]:
        piece = bytearray(data[at : at + size])
        at += size
        for received in reader.feed(memoryview(piece) if reused else bytes(piece)):
            got += received
        piece[:] = bytes(len(piece))
    assert got == sent
    assert all(type(frame.data) is bytes for frame in got if isinstance(frame, SessionMessage | FileSlice))


def test_much_data_is_not_copied_into_a_packet() -> None:
    data = bytes(BULK)
    (packet,) = packets.packets([SessionMessage("q", data)])
    assert packet.buffers[-1] is data


def test_what_is_too_large_for_one_packet_goes_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packets, "MAX_PACKET", 200)
    sent: list[Frame] = [SessionMessage("q", bytes(60)) for _ in range(9)]
    made = list(packets.packets(sent))
    assert len(made) > 1
    assert [frame for packet in made for frame in packet.frames] == sent


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">I", packets.MAX_PACKET + 1),
        struct.pack(">II", 0x80000008, 5) + frames.pack([Heartbeat()]),
        struct.pack(">II", 0x80000001, 5) + b"\x90",
        struct.pack(">II", 0x8000000C, packets.MAX_PACKET + 1) + frames.pack([FileSlice(1, b"", True)]),
        struct.pack(">II", 0x8000000C, 0) + frames.pack([FileSlice(1, b"", True)]),
    ],
)
def test_what_is_no_packet_is_refused(data: bytes) -> None:
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        list(PacketReader(frames.from_runner).feed(data))
