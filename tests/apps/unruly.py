"""An app whose code raises, returns, prints and reports whatever nobody expects; its input names what it does."""

from __future__ import annotations

import asyncio
import decimal
import logging
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pondage

HALF = "caf\udce9"
"""Text with half a character, as the system gives names that are no UTF-8."""
HUGE = 10**5000
"""More digits than Python turns into text."""


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Rude(Exception):
    """Its text ends the process, where nobody minds."""

    def __str__(self) -> str:
        raise SystemExit(9)


class Masked(Exception):
    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("no class")


class Nameless(type):
    @property
    def __name__(cls) -> str:
        raise RuntimeError("no name")


class OfNoName(Exception, metaclass=Nameless):
    pass


class Own(BaseException):
    pass


class Status(Exception):
    """Looks like a web framework's exception, and is none."""

    def __init__(self, status_code: Any, detail: Any, headers: Any = None) -> None:
        self.status_code, self.detail, self.headers = status_code, detail, headers


class Sly(Exception):
    @property
    def status_code(self) -> int:
        raise RuntimeError("no status")


class Word(str):
    """A string of the author's own."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__

    def __len__(self) -> int:
        raise RuntimeError("no length")


class Thing:
    """Has neither text nor length nor a dump nor equality."""

    def _no(self, *_: Any) -> Any:
        raise RuntimeError("no")

    __str__ = __repr__ = __len__ = __iter__ = __eq__ = __bool__ = model_dump = tolist = _no
    __hash__ = None  # type: ignore[assignment]


def chained() -> Exception:
    error: Exception = ValueError(HALF)
    for n in range(3000):
        outer = ValueError(str(n))
        outer.__cause__ = error
        error = outer
    return error


def looped() -> Exception:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    return one


def noted() -> Exception:
    error = ValueError("noted")
    error.__notes__ = [HALF, Mute(), 3]  # type: ignore[attr-defined]
    return error


def wrong_syntax() -> Exception:
    error = SyntaxError("bad")
    error.filename, error.lineno, error.text, error.offset = 3, HALF, Mute(), "x"  # type: ignore[assignment]
    return error


def deep() -> Any:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    return value


RAISED: dict[str, Callable[[], BaseException]] = {
    "StopIteration": lambda: StopIteration(HALF),
    "StopAsyncIteration": lambda: StopAsyncIteration(1),
    "GeneratorExit": GeneratorExit,
    "SystemExit": lambda: SystemExit(HALF),
    "KeyboardInterrupt": KeyboardInterrupt,
    "CancelledError": lambda: asyncio.CancelledError("mine"),
    "base": lambda: Own(HALF),
    "mute": Mute,
    "rude": Rude,
    "masked": Masked,
    "nameless": OfNoName,
    "half a character": lambda: ValueError(HALF),
    "a huge number": lambda: ValueError(HUGE),
    "long": lambda: ValueError("x" * 50_000_000),
    "bytes": lambda: ValueError(b"\xff"),
    "group": lambda: BaseExceptionGroup("many", [ValueError(HALF), SystemExit(3), Mute()]),
    "chained": chained,
    "looped": looped,
    "noted": noted,
    "syntax": wrong_syntax,
    "recursion": lambda: RecursionError(HALF),
    "memory": MemoryError,
    "status of text": lambda: Status("503", "x"),
    "status out of range": lambda: Status(7, HALF),
    "detail of half a character": lambda: Status(418, HALF),
    "detail of a thing": lambda: Status(418, [Thing(), HALF, HUGE]),
    "detail of words": lambda: Status(422, ["one", 2, None]),
    "detail without end": lambda: Status(418, ["x" * 1000] * 100_000),
    "headers that cut": lambda: Status(
        418, "x", {"x-a": "one\r\nset-cookie: two", "x-b": "good", "te": "x", HALF: "y"}
    ),
    "headers of things": lambda: Status(418, "x", {Thing: Thing(), 3: 4, "x-n": HUGE}),
    "headers without end": lambda: Status(418, "x", {f"x-{n}": "y" * 100_000 for n in range(1000)}),
    "sly": Sly,
    "app exception": lambda: pondage.AppException("x" * 80_000_000, 400),
    "app exception of a thing": lambda: pondage.AppException(Thing(), "x"),  # type: ignore[arg-type]
    "app exception of half a character": lambda: pondage.AppException(HALF, 400),
    "field exception": lambda: pondage.FieldException(HALF, "x" * 80_000_000),
    "field exception of a thing": lambda: pondage.FieldException("x", Thing()),  # type: ignore[arg-type]
    "cancelled exception": lambda: pondage.RequestCancelledException(HALF),
}

RETURNED: dict[str, Callable[[], Any]] = {
    "thing": Thing,
    "type": lambda: Thing,
    "half a character": lambda: HALF,
    "key of half a character": lambda: {HALF: 1},
    "a huge number": lambda: HUGE,
    "NaN": lambda: float("nan"),
    "bytes": lambda: b"\xff",
    "deep": deep,
    "exception": lambda: ValueError(HALF),
    "word": lambda: Word("word"),
    "path": lambda: Path(HALF),
    "too large": lambda: "x" * 40_000_000,
    "generator": lambda: (i for i in range(3)),
    "lock": threading.Lock,
}

SAID: dict[str, Callable[[], object]] = {
    "print half a character": lambda: print(HALF),
    "print in pieces": lambda: [sys.stdout.write(c) for c in HALF],
    "print a word": lambda: sys.stdout.write(Word("word\n")),
    "write bytes": lambda: sys.stderr.buffer.write(b"\xff\n"),
    "log half a character": lambda: logging.getLogger(HALF).error("%s", HALF),
    "log too few": lambda: logging.getLogger("x").error("%s %s", 1),
    "log a mute one": lambda: logging.getLogger("x").error("%s", Mute()),
    "log a thing": lambda: logging.getLogger("x").error(Thing()),
    "log with a mute one": lambda: logging.getLogger("x").error("x", exc_info=Mute()),
    "log of the request": lambda: pondage.current_request.log(Thing()),  # type: ignore[arg-type]
    "level of the request": lambda: pondage.current_request.log(HALF, Thing()),  # type: ignore[arg-type]
    "progress of a NumPy number": lambda: _numpy_progress(),
    "progress of a decimal": lambda: pondage.current_request.progress(decimal.Decimal(1), Fraction(2, 1)),  # type: ignore[arg-type]
    "progress of text": lambda: pondage.current_request.progress(1, "10"),  # type: ignore[arg-type]
    "progress of NaN": lambda: pondage.current_request.progress(float("nan"), 1),
    "progress of a huge number": lambda: pondage.current_request.progress(HUGE, 1),
    "progress of a path": lambda: pondage.current_request.progress(1, 2, Path(HALF)),  # type: ignore[arg-type]
    "progress of a thing": lambda: pondage.current_request.progress(Thing(), None, Thing()),  # type: ignore[arg-type]
    "progress without end": lambda: pondage.current_request.progress(1, 2, "x" * 80_000_000),
    "much progress": lambda: [pondage.current_request.progress(1, 2, "x" * 1_000_000) for _ in range(200)],
    "a thread of half a character": lambda: _in_a_thread(HALF),
}


def _numpy_progress() -> None:
    import numpy

    pondage.current_request.progress(numpy.float32(1), numpy.int64(10))


def _in_a_thread(name: str) -> None:
    thread = threading.Thread(target=lambda: print(threading.current_thread().name), name=name)
    thread.start()
    thread.join()


def act(what: str) -> Any:
    """`raise NAME`, `return NAME`, `say NAME`, or anything else: `ok`."""
    verb, _, name = what.partition(" ")
    if verb == "raise":
        raise RAISED[name]()
    if verb == "say":
        SAID[name]()
    return RETURNED[name]() if verb == "return" else "ok"


class Unruly(pondage.App, name="acme/unruly", max_multiplexing=32):
    @pondage.endpoint("/sync")
    def sync(self, what: str):  # type: ignore[no-untyped-def]
        return act(what)

    @pondage.endpoint("/async")
    async def asynchronous(self, what: str):  # type: ignore[no-untyped-def]
        return act(what)

    @pondage.endpoint("/typed")
    def typed(self, what: str) -> dict[str, int] | str:
        return act(what)  # type: ignore[no-any-return]

    @pondage.endpoint("/batch", max_batch_size=2, batch_wait=0.0)
    def batch(self, what: list[str]) -> list[Any]:
        return [act(one) for one in what]

    @pondage.endpoint("/async/batch", max_batch_size=2, batch_wait=0.0)
    async def async_batch(self, what: list[str]) -> list[Any]:
        return [act(one) for one in what]

    @pondage.endpoint("/generator")
    def generator(self, what: str):  # type: ignore[no-untyped-def]
        yield "first"
        yield act(what)

    @pondage.endpoint("/async/generator")
    async def async_generator(self, what: str):  # type: ignore[no-untyped-def]
        yield "first"
        yield act(what)

    @pondage.endpoint("/iterator")
    def iterator(self, what: str) -> Iterator[Any]:
        return _Iterator(what)

    @pondage.realtime("/message")
    def message(self, what: str):  # type: ignore[no-untyped-def]
        return act(what)

    @pondage.realtime("/async/message")
    async def async_message(self, what: str):  # type: ignore[no-untyped-def]
        return act(what)

    @pondage.realtime("/messages")
    def messages(self, whats: Iterator[dict[str, str]]) -> Iterator[Any]:
        for what in whats:
            yield act(what["what"])

    @pondage.realtime("/async/messages")
    async def async_messages(self, whats: AsyncIterator[dict[str, str]]) -> AsyncIterator[Any]:
        async for what in whats:
            yield act(what["what"])


class _Iterator:
    def __init__(self, what: str) -> None:
        self.left = ["ok", what]

    def __iter__(self) -> _Iterator:
        return self

    def __next__(self) -> Any:
        if not self.left:
            raise StopIteration
        return act(self.left.pop(0))
