"""Realtime sessions: answers in kind, and one bad message costs itself only."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pondage.wire.frames import (
    MESSAGE_COST,
    SLICE,
    Cancel,
    Heartbeat,
    Poisoned,
    SessionClose,
    SessionMessage,
    SessionMore,
)

from .conftest import APPS, Gateway, running

pytestmark = pytest.mark.anyio


class Caller:
    """The caller's end of one session."""

    def __init__(self, gateway: Gateway, path: str = "/realtime", input: Any = None) -> None:
        self.gateway = gateway
        self.id = gateway.execute(path, input, mode="session")
        self._read = 0

    def text(self, value: Any) -> None:
        data = value if isinstance(value, bytes) else msgspec.json.encode(value)
        self.gateway.send(SessionMessage(self.id, data, True))

    def binary(self, value: Any) -> None:
        data = value if isinstance(value, bytes) else msgspec.msgpack.encode(value)
        self.gateway.send(SessionMessage(self.id, data))

    def hang_up(self) -> None:
        self.gateway.send(SessionClose(self.id, 1005))

    def frames(self) -> list[SessionMessage]:
        return [f for f in self.gateway.all(SessionMessage) if f.request_id == self.id]

    async def next(self) -> tuple[bool, Any]:
        """Whether the next message is text, and its value."""
        parts = []
        while True:
            await self.gateway.until(lambda: len(self.frames()) > self._read)
            frame = self.frames()[self._read]
            self._read += 1
            parts.append(frame.data)
            if not frame.more:
                break
        data = b"".join(parts)
        return frame.text, msgspec.json.decode(data) if frame.text else msgspec.msgpack.decode(data)

    async def closed(self) -> SessionClose:
        return (
            await self.gateway.until(lambda: [f for f in self.gateway.all(SessionClose) if f.request_id == self.id])
        )[0]


async def test_each_message_is_answered_in_kind(echo: Gateway) -> None:
    caller = Caller(echo)
    caller.text({"x": 1})
    assert await caller.next() == (True, {"y": 2})
    caller.binary({"x": 2})
    assert await caller.next() == (False, {"y": 3})
    caller.text({"x": 3})
    assert await caller.next() == (True, {"y": 4})
    caller.hang_up()
    finished = await echo.finished(caller.id)
    assert msgspec.json.decode(finished.outcome.body) == {"received": 3, "sent": 3, "dropped": 0}


async def test_a_bad_message_is_named_and_the_session_goes_on(echo: Gateway) -> None:
    caller = Caller(echo)
    bad: list[tuple[bool, Any, str, str]] = [
        (True, b"{not json", "INVALID_INPUT", "message 1: this is not JSON"),
        (False, b"\xc1", "INVALID_INPUT", "message 2: this is not msgpack"),
        (True, {"x": "many"}, "INVALID_INPUT", "message 3: x: Input should be a valid integer"),
        (False, {"x": 1, "pad": "fail"}, "INTERNAL_ERROR", "message 4: ValueError: told to fail"),
    ]
    for text, value, error, reason in bad:
        (caller.text if text else caller.binary)(value)
        is_text, message = await caller.next()
        assert is_text, "control messages are JSON text"
        assert (message["type"], message["error"]) == ("x-fal-error", error)
        assert message["reason"].startswith(reason)
    caller.text({"x": 5})
    assert await caller.next() == (True, {"y": 6})


ODD = """
import pondage

class Odd(pondage.App, name="acme/odd"):
    @pondage.realtime("/realtime")
    async def live(self, ask: str = "", given: list[float] | None = None) -> dict:
        return {"given": given, "sizes": [1.0, float("inf")] if ask else []}
"""


@pytest.mark.parametrize("text", [True, False], ids=["json", "msgpack"])
async def test_no_session_carries_what_json_does_not_have(gateway: Gateway, tmp_path: Path, text: bool) -> None:
    """Neither way, in neither kind of frame: the caller is told the member, and the session goes on."""
    (tmp_path / "odd.py").write_text(ODD)
    async with running(gateway, f"{tmp_path / 'odd.py'}:Odd", "acme/odd"):
        await gateway.ready()
        caller = Caller(gateway)
        if text:
            caller.text(b'{"given": [1, NaN]}')
        else:
            caller.binary({"given": [1.0, float("nan")]})
        _, message = await caller.next()
        assert message["error"] == "INVALID_INPUT" and "given.1 is nan" in message["reason"], message
        (caller.text if text else caller.binary)({"ask": "for it"})
        _, message = await caller.next()
        assert message["error"] == "INTERNAL_ERROR" and "sizes.1 is inf" in message["reason"], message
        (caller.text if text else caller.binary)({"given": [0.5]})
        assert (await caller.next())[1]["given"] == [0.5]


async def test_a_silent_session_ends_by_itself(gateway: Gateway) -> None:
    gateway.welcome["session_idle"] = 0.1
    async with running(gateway, f"{APPS / 'basic.py'}:Echo"):
        await gateway.ready()
        caller = Caller(gateway)
        text, message = await caller.next()
        assert (text, message["type"], message["error"]) == (True, "x-fal-error", "TIMEOUT")
        assert (await caller.closed()).code == 1000
        assert (await gateway.finished(caller.id)).outcome.status == 200


async def test_the_value_of_a_silent_session_is_sent(gateway: Gateway, tmp_path: Path) -> None:
    """Silence ends what the function iterates over; what it then returns has a caller that waits for it."""
    gateway.welcome["session_idle"] = 0.1
    (tmp_path / "modes.py").write_text(MODES)
    async with running(gateway, f"{tmp_path / 'modes.py'}:Modes", "acme/modes"):
        await gateway.ready()
        caller = Caller(gateway, "/in")
        caller.text({"n": 2})
        assert (await caller.next())[1] == {"n": 2.0}
        assert (await caller.next())[1]["error"] == "TIMEOUT"
        assert (await caller.closed()).code == 1000


async def test_a_cancel_ends_the_session(echo: Gateway) -> None:
    caller = Caller(echo)
    caller.text({"x": 1})
    await caller.next()
    echo.send(Cancel(caller.id, 1, "client_cancelled"))
    assert (await caller.closed()).code == 1001
    assert (await echo.finished(caller.id)).outcome.status == 499


async def test_a_plain_endpoint_is_no_session(echo: Gateway) -> None:
    caller = Caller(echo, "/")
    assert (await caller.closed()).code == 1008
    assert (await echo.finished(caller.id)).outcome.status == 400
    assert (await echo.call("/realtime", {"x": 1})).status == 400


MODES = """
from collections.abc import AsyncIterator, Iterator
from typing import Any
from pydantic import BaseModel
import pondage

class Number(BaseModel):
    n: float

class Modes(pondage.App, name="acme/modes", max_multiplexing=8):
    @pondage.realtime("/sync")
    def sync(self, input: Number) -> Number:
        return Number(n=input.n * 2)

    @pondage.realtime("/both")
    async def both(self, numbers: AsyncIterator[Number]) -> AsyncIterator[Number]:
        total = 0.0
        async for number in numbers:
            total += number.n
            yield Number(n=total)

    @pondage.realtime("/both/sync")
    def both_sync(self, numbers: Iterator[Number]) -> Iterator[Number]:
        total = 0.0
        for number in numbers:
            total += number.n
            yield Number(n=total)

    @pondage.realtime("/out")
    async def out(self, input: Number) -> AsyncIterator[Number]:
        for i in range(int(input.n)):
            yield Number(n=i)

    @pondage.realtime("/pour/sync")
    def pour_sync(self, input: Number) -> Iterator[Any]:
        for i in range(int(input.n)):
            yield {"i": i, "pad": "x" * 1000}

    @pondage.realtime("/pour")
    async def pour(self, input: Number) -> AsyncIterator[Any]:
        for i in range(int(input.n)):
            yield {"i": i, "pad": "x" * 1000}

    @pondage.realtime("/in")
    async def take(self, numbers: AsyncIterator[Number]) -> Number:
        total = 0.0
        async for number in numbers:
            total += number.n
            if number.n == 0:
                break
        return Number(n=total)

    @pondage.realtime("/breaks")
    async def breaks(self, numbers: AsyncIterator[Number]) -> AsyncIterator[Number]:
        async for number in numbers:
            raise ValueError("no more")
            yield number

    @pondage.realtime("/raw")
    async def raw(self, message: Any) -> Any:
        return message

    @pondage.realtime("/batch", max_batch_size=4)
    async def batch(self, numbers: list[Number]) -> list[Number]:
        return [Number(n=number.n + len(numbers) * 0) for number in numbers]
"""


async def test_the_hints_choose_the_mode(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "modes.py").write_text(MODES)
    async with running(gateway, f"{tmp_path / 'modes.py'}:Modes", "acme/modes"):
        await gateway.ready()
        for path in ("/sync", "/batch"):
            caller = Caller(gateway, path)
            caller.binary({"n": 1.0})
            text, value = await caller.next()
            assert not text and isinstance(value["n"], float), "floats stay floats"
        for path in ("/both", "/both/sync"):
            caller = Caller(gateway, path)
            seen = []
            for n in (1, 2, 3):
                caller.text({"n": n})
                seen.append((await caller.next())[1]["n"])
            assert seen == [1.0, 3.0, 6.0]
            caller.hang_up()
            assert (await gateway.finished(caller.id)).outcome.status == 200
        for path in ("/both", "/both/sync"):
            caller = Caller(gateway, path)
            caller.text({"n": 1})
            await caller.next()
            gateway.send(Cancel(caller.id, 1, "client_cancelled"))
            assert (await caller.closed()).code == 1001
            assert (await gateway.finished(caller.id)).outcome.status == 499
        assert not gateway.all(Poisoned)
        caller = Caller(gateway, "/out")
        caller.text({"n": 3})
        assert [(await caller.next())[1]["n"] for _ in range(3)] == [0.0, 1.0, 2.0]
        caller = Caller(gateway, "/in")
        for n in (1, 2, 0):
            caller.text({"n": n})
        assert (await caller.next())[1] == {"n": 3.0}
        assert (await caller.closed()).code == 1000
        caller = Caller(gateway, "/breaks")
        caller.text({"n": 1})
        assert (await caller.next())[1]["error"] == "INTERNAL_ERROR"
        assert (await caller.closed()).code == 1011


async def test_messages_of_any_size_and_kind(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "modes.py").write_text(MODES)
    async with running(gateway, f"{tmp_path / 'modes.py'}:Modes", "acme/modes"):
        await gateway.ready()
        caller = Caller(gateway, "/raw")
        caller.binary({"image": b"\xff\x00", "none": None, "text": "é"})
        assert await caller.next() == (False, {"image": b"\xff\x00", "text": "é"}), "no nil, bytes are bin"
        large = {"data": b"x" * (3 * SLICE)}
        encoded = msgspec.msgpack.encode(large)
        for begin in range(0, len(encoded), SLICE):
            more = begin + SLICE < len(encoded)
            gateway.send(SessionMessage(caller.id, encoded[begin : begin + SLICE], False, more))
        assert await caller.next() == (False, large)
        assert all(len(f.data) <= SLICE for f in caller.frames())


@pytest.mark.parametrize("path", ["/pour", "/pour/sync"])
async def test_the_function_is_held_until_its_caller_has_read(gateway: Gateway, tmp_path: Path, path: str) -> None:
    (tmp_path / "modes.py").write_text(MODES)
    gateway.welcome["chunk_buffer_bytes"] = 10_000
    async with running(gateway, f"{tmp_path / 'modes.py'}:Modes", "acme/modes"):
        await gateway.ready()
        caller = Caller(gateway, path)
        caller.text({"n": 100})
        assert (await caller.next())[1]["i"] == 0
        beats = len(gateway.all(Heartbeat))
        await gateway.until(lambda: len(gateway.all(Heartbeat)) > beats + 1)
        under_way = caller.frames()
        assert 8 < len(under_way) < 13
        gateway.send(SessionMore(caller.id, sum(len(frame.data) + MESSAGE_COST for frame in under_way)))
        await gateway.until(lambda: len(caller.frames()) > len(under_way))
        gateway.send(SessionMore(caller.id, 1_000_000))
        assert [(await caller.next())[1]["i"] for _ in range(99)] == list(range(1, 100))
        caller.hang_up()
        assert (await gateway.finished(caller.id)).outcome.status == 200


async def test_a_caller_that_leaves_ends_a_function_that_is_held(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "modes.py").write_text(MODES)
    gateway.welcome |= {"chunk_buffer_bytes": 10_000, "cancel_grace": 0.1}
    async with running(gateway, f"{tmp_path / 'modes.py'}:Modes", "acme/modes"):
        await gateway.ready()
        for path in ("/pour", "/pour/sync"):
            caller = Caller(gateway, path)
            caller.text({"n": 10_000_000})
            await caller.next()
            caller.hang_up()
            assert (await gateway.finished(caller.id)).outcome.status == 499
        assert not gateway.all(Poisoned)


async def test_the_oldest_are_dropped_when_the_buffer_is_full(echo: Gateway) -> None:
    caller = Caller(echo, input={"max_buffering": 2})
    messages = [SessionMessage(caller.id, msgspec.json.encode({"x": n}), True) for n in range(10)]
    echo.send(*messages)
    last = -1
    while last != 10:
        last = (await caller.next())[1]["y"]
    caller.hang_up()
    counts = msgspec.json.decode((await echo.finished(caller.id)).outcome.body)
    assert counts["received"] == 10
    assert counts["dropped"] + counts["sent"] == 10
    assert counts["dropped"] >= 7


async def test_no_bytes_end_a_session(echo: Gateway) -> None:
    caller = Caller(echo)
    drawn = random.Random(7)
    for n in range(60):
        data = drawn.randbytes(drawn.randrange(40))
        caller.text(data) if n % 2 else caller.binary(data)
        await caller.next()
    for nested in (b"[" * 50_000, b'{"x":' * 50_000):
        caller.text(nested)
        assert (await caller.next())[1]["error"] == "INVALID_INPUT"
    caller.binary(b"\x91" * 50_000)
    assert (await caller.next())[1]["error"] == "INVALID_INPUT"
    caller.text({"x": 1})
    assert await caller.next() == (True, {"y": 2})
    caller.hang_up()
    assert (await echo.finished(caller.id)).outcome.status == 200
