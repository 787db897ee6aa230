"""Prints, records and warnings: each to its request, whatever thread made it, and never without bound."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from pondage.runner.capture import Lines
from pondage.wire.events import Log
from pondage.wire.frames import RunnerLog
from pondage.wire.text import cut

from .conftest import Gateway, running

pytestmark = pytest.mark.anyio

APP = """
import asyncio
import logging
import multiprocessing
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pondage

pool = ThreadPoolExecutor(2)
print("at import")


class Words(pondage.App, name="acme/words", max_multiplexing=8):
    @pondage.endpoint("/threads")
    def threads(self, name: str) -> None:
        def say(what: str) -> None:
            for i in range(20):
                print(name, what, i)
                time.sleep(0.0005)

        thread = threading.Thread(target=say, args=("thread",))
        thread.start()
        futures = [pool.submit(say, "shared pool"), pool.submit(say, "shared pool")]
        say("self")
        thread.join()
        for future in futures:
            future.result()

    @pondage.endpoint("/tasks")
    async def tasks(self, name: str) -> None:
        async def say(what: str) -> None:
            for i in range(20):
                print(name, what, i)
                await asyncio.sleep(0)

        await asyncio.gather(say("a"), say("b"), asyncio.to_thread(print, name, "to_thread"))

    @pondage.endpoint("/clients")
    def clients(self) -> None:
        for name in ("httpx2", "urllib3.connectionpool", "own"):
            logging.getLogger(name).info("HTTP Request: GET https://a/?token=secret")
            logging.getLogger(name).warning("it is slow")

    @pondage.endpoint("/late")
    async def late(self, name: str) -> None:
        threading.Timer(0.3, print, args=(name, "late")).start()

    @pondage.endpoint("/flood")
    def flood(self, lines: int, width: int) -> int:
        line = "x" * width
        for _ in range(lines):
            print(line)
        return lines

    @pondage.endpoint("/flood/async")
    async def flood_async(self, lines: int, width: int) -> int:
        line = "x" * width
        for _ in range(lines):
            print(line)
        return lines

    @pondage.endpoint("/shapes")
    def shapes(self) -> None:
        sys.stdout.write("no end of line")
        sys.stderr.write("10%\\r20%\\r")
        sys.stdout.buffer.write("bytes é\\n".encode())

    @pondage.endpoint("/fork")
    def fork(self) -> str:
        child = multiprocessing.get_context("fork").Process(target=print, args=("from the fork",))
        child.start()
        child.join()
        subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
        return str(child.exitcode)

    @pondage.endpoint("/broken_thread")
    def broken_thread(self) -> None:
        def fail() -> None:
            raise ValueError("in a thread")

        for target in (fail, sys.exit):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()

    @pondage.endpoint("/quits")
    async def quits(self) -> None:
        raise SystemExit(3)
"""


@pytest.fixture
async def words(gateway: Gateway, tmp_path: Path):  # type: ignore[no-untyped-def]
    path = tmp_path / "words_app.py"
    path.write_text(APP)
    gateway.welcome["max_log_entries"] = 10_000
    async with running(gateway, f"{path}:Words", "acme/words") as runner:
        await gateway.ready()
        gateway.runner = runner  # type: ignore[attr-defined]
        yield gateway


def unattributed(gateway: Gateway) -> list[str]:
    return [e.message for frame in gateway.all(RunnerLog) for e in frame.entries if isinstance(e, Log)]


@pytest.mark.parametrize(("path", "count"), [("/threads", 80), ("/tasks", 41)])
async def test_words_of_threads_and_tasks_are_never_anothers(words: Gateway, path: str, count: int) -> None:
    ids = {name: words.execute(path, {"name": name}) for name in ("one", "two", "three")}
    for name, request_id in ids.items():
        assert (await words.finished(request_id)).outcome.status == 200
        said = [message for _, message in words.logs(request_id)]
        assert len(said) == count
        assert all(message.startswith(f"{name} ") for message in said)


async def test_what_http_clients_say_of_each_call_is_no_callers(words: Gateway) -> None:
    request_id = words.execute("/clients")
    await words.finished(request_id)
    assert [level for level, _ in words.logs(request_id)] == ["WARN", "WARN", "INFO", "WARN"]


async def test_what_comes_too_late_is_the_runners(words: Gateway) -> None:
    request_id = words.execute("/late", {"name": "one"})
    await words.finished(request_id)
    await words.until(lambda: "one late" in unattributed(words))
    assert words.logs(request_id) == []
    assert unattributed(words) == ["at import", "one late"]


async def test_every_way_to_write_makes_lines(words: Gateway) -> None:
    request_id = words.execute("/shapes")
    await words.finished(request_id)
    assert sorted(words.logs(request_id)) == [
        ("STDERR", "10%"),
        ("STDERR", "20%"),
        ("STDOUT", "no end of linebytes é"),
    ]


@pytest.mark.parametrize("path", ["/flood", "/flood/async"])
async def test_a_flood_is_bounded_and_counted(words: Gateway, path: str) -> None:
    process = psutil.Process(words.runner.process.pid)  # type: ignore[attr-defined]
    before = process.memory_info().rss
    request_id = words.execute(path, {"lines": 25_000, "width": 999})
    assert (await words.finished(request_id)).outcome.body == b"25000"
    entries = words.logs(request_id)
    kept = -(-10_000 // (1 + 999 // 160))  # a long entry counts as several
    assert len(entries) == kept + 1
    assert entries[-1] == (
        "WARN", f"{25_000 - kept} more log entries were dropped: one request may write 10000"
    )  # fmt: skip
    assert process.memory_info().rss - before < 64 * 1024**2


async def test_one_endless_line_is_cut(words: Gateway) -> None:
    request_id = words.execute("/flood", {"lines": 1, "width": 100_000_000})
    await words.finished(request_id)
    ((_, line),) = words.logs(request_id)
    assert line.endswith(f" … ({100_000_000 - 16384} characters cut)")
    assert len(line) < 20_000


async def test_a_forked_child_keeps_its_words_and_leaves_the_link_alone(words: Gateway) -> None:
    outcome = await words.call("/fork")
    assert outcome.body == b'"0"'
    assert (await words.call("/shapes")).status == 200


async def test_the_traceback_of_a_thread_is_its_requests(words: Gateway) -> None:
    request_id = words.execute("/broken_thread")
    assert (await words.finished(request_id)).outcome.status == 200
    said = [message for level, message in words.logs(request_id) if level == "STDERR"]
    assert said[0].startswith("Exception in thread")
    assert said[-1] == "ValueError: in a thread"


async def test_a_function_that_exits_ends_its_request_only(words: Gateway) -> None:
    outcome = await words.call("/quits")
    assert (outcome.status, outcome.error) == (500, "SystemExit: 3")
    assert (await words.call("/shapes")).status == 200


def test_lines_are_whole_and_cut() -> None:
    lines = Lines(5)
    assert lines.feed("ab") == []
    assert lines.feed("c\nd\r\ne\rf") == ["abc", "d", "e"]
    assert lines.rest() == "f"
    assert lines.feed("123456789\n") == ["12345 … (4 characters cut)"]
    assert lines.feed("1\n123456789\n2") == ["1", "12345 … (4 characters cut)"]
    assert cut("12345", 5) == "12345"
