"""A runner is a plain Python process: what an unchanged program expects of its process holds in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from pondage.wire.events import Log
from pondage.wire.frames import Drain, RunnerLog, SetupFailed

from .conftest import Gateway, running

pytestmark = pytest.mark.anyio

PLAIN = """
import argparse
import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ProcessPoolExecutor

import pondage

parser = argparse.ArgumentParser()
parser.add_argument("--device", default="cpu")
DEVICE = parser.parse_args().device
AT_IMPORT = (sys.argv[:], threading.current_thread() is threading.main_thread())
LOOP_AT_IMPORT = asyncio.new_event_loop()


def double(x: int) -> int:
    return 2 * x


class Plain(pondage.App, name="acme/plain", max_multiplexing=2):
    def setup(self) -> None:
        assert threading.current_thread() is threading.main_thread()
        self.signals = []
        signal.signal(signal.SIGUSR1, lambda number, frame: self.signals.append(number))
        self.from_setup = asyncio.run(asyncio.sleep(0, "a loop of its own"))
        with multiprocessing.get_context("fork").Pool(1) as pool:
            self.forked = pool.map(double, [1, 2])
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            self.spawned = pool.map(double, [3, 4])
        os.chdir(tempfile.mkdtemp())

    def teardown(self) -> None:
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        print("torn down in the main thread with", asyncio.run(asyncio.sleep(0, "a loop")))

    @pondage.endpoint("/")
    def seen(self) -> dict[str, object]:
        return {"argv": AT_IMPORT[0], "main": AT_IMPORT[1], "now": sys.argv, "device": DEVICE, "setup": self.from_setup,
                "forked": self.forked, "spawned": self.spawned}

    @pondage.endpoint("/signals")
    async def signalled(self) -> list[int]:
        os.kill(os.getpid(), signal.SIGUSR1)
        for _ in range(200):
            if self.signals:
                break
            await asyncio.sleep(0.01)
        return self.signals

    @pondage.endpoint("/run")
    def run(self) -> str:
        async def child() -> str:
            process = await asyncio.create_subprocess_exec("echo", "from a child", stdout=subprocess.PIPE)
            return (await process.communicate())[0].decode().strip()

        return asyncio.run(child())

    @pondage.endpoint("/pool")
    def pool(self) -> list[int]:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            return list(pool.map(double, [5]))
"""


def words(gateway: Gateway) -> list[str]:
    return [e.message for frame in gateway.all(RunnerLog) for e in frame.entries if isinstance(e, Log)]


async def answer(gateway: Gateway, path: str = "/", input: Any = None) -> Any:
    outcome = await gateway.call(path, input)
    assert outcome.status == 200, (outcome, words(gateway))
    return msgspec.json.decode(outcome.body)


async def test_plain_code_has_the_main_thread_the_arguments_and_loops_of_its_own(
    gateway: Gateway, tmp_path: Path
) -> None:
    path = tmp_path / "plain.py"
    path.write_text(PLAIN)
    async with running(gateway, f"{path}:Plain", "acme/plain") as runner:
        await gateway.ready()
        assert await answer(gateway) == {
            "argv": [str(path)], "main": True, "now": [str(path)], "device": "cpu", "setup": "a loop of its own",
            "forked": [2, 4], "spawned": [6, 8],
        }  # fmt: skip
        assert await answer(gateway, "/signals"), "a handler of setup() is called while requests are served"
        assert await answer(gateway, "/run") == "from a child"
        assert await answer(gateway, "/pool") == [10]
        gateway.send(Drain(grace=5.0))
        assert await runner.exit_code() == 0
    assert "torn down in the main thread with a loop" in words(gateway)


STREAMS = r"""
import codecs
import io
import os
import subprocess
import sys

import pondage

for stream in (sys.stdout, sys.stderr):
    stream.reconfigure(line_buffering=True, errors="replace")
FIRST = sys.stdout


class Streams(pondage.App, name="acme/streams", max_multiplexing=2):
    @pondage.endpoint("/facts")
    def facts(self) -> list[list[object]]:
        return [
            [s.name, s.mode, s.encoding, s.errors, s.newlines, s.isatty(), s.fileno(), s.writable(), s.readable(),
             s.seekable(), s.closed, s.buffer.fileno(), s.buffer.raw.fileno(), s.buffer.name, s.line_buffering,
             isinstance(s, io.TextIOWrapper), isinstance(s.buffer, io.BufferedIOBase)]
            for s in (sys.stdout, sys.stderr)
        ]

    @pondage.endpoint("/pieces")
    def pieces(self) -> None:
        data = "é✅🎉\n".encode()
        for i in range(len(data)):
            sys.stdout.buffer.write(data[i : i + 1])
        sys.stdout.writelines(["one\n", "two\n"])
        sys.stderr.buffer.raw.write(memoryview(b"three\n"))
        sys.stdout.buffer.write("cut: é".encode()[:-1])
        sys.stdout.write("; text\n")
        sys.stdout.buffer.write("cut again: é".encode()[:-1])

    @pondage.endpoint("/wrapped")
    def wrapped(self) -> None:
        sys.stdout = io.TextIOWrapper(FIRST.buffer, encoding="utf-8", line_buffering=True)
        print("wrapped")
        sys.stdout = codecs.getwriter("utf-8")(FIRST.detach())
        print("detached")
        sys.stdout = FIRST
        sys.stdout.close()
        with sys.stdout:
            print("closed", sys.stdout.closed)
        print("still")

    @pondage.endpoint("/latin")
    def latin(self) -> None:
        FIRST.reconfigure(encoding="utf-16-le")
        for byte in "zwölf\n".encode("utf-16-le"):
            FIRST.buffer.write(bytes([byte]))
        FIRST.reconfigure(encoding="utf-8")

    @pondage.endpoint("/mistakes")
    def mistakes(self) -> list[str]:
        said = []
        for wrong in (lambda: sys.stdout.write(b"x"), lambda: sys.stdout.buffer.write("x"), lambda: sys.stdout.read(),
                      lambda: sys.stdout.reconfigure(encoding="no such"), lambda: sys.stdout.seek(0)):
            try:
                wrong()
            except Exception as error:
                said.append(type(error).__name__)
        return said
"""


async def test_standard_streams_have_all_that_text_streams_have(gateway: Gateway, tmp_path: Path) -> None:
    path = tmp_path / "streams.py"
    path.write_text(STREAMS)
    async with running(gateway, f"{path}:Streams", "acme/streams"):
        await gateway.ready()
        common = ["w", "utf-8", "replace", None, False]
        assert await answer(gateway, "/facts") == [
            [name, *common, number, True, False, False, False, number, number, name, True, True, True]
            for name, number in (("<stdout>", 1), ("<stderr>", 2))
        ]

        request_id = gateway.execute("/pieces")
        await gateway.finished(request_id)
        assert gateway.logs(request_id) == [
            ("STDOUT", "é✅🎉"), ("STDOUT", "one"), ("STDOUT", "two"), ("STDERR", "three"),
            ("STDOUT", "cut: \ufffd; text"), ("STDOUT", "cut again: \ufffd"),
        ]  # fmt: skip
        for route, lines in (("/wrapped", ["wrapped", "detached", "closed False", "still"]), ("/latin", ["zwölf"])):
            request_id = gateway.execute(route)
            assert (await gateway.finished(request_id)).outcome.status == 200, words(gateway)
            assert [line for _, line in gateway.logs(request_id)] == lines
        assert await answer(gateway, "/mistakes") == [
            "TypeError", "TypeError", "UnsupportedOperation", "LookupError", "UnsupportedOperation",
        ]  # fmt: skip


NESTED = """
import asyncio
import sys
import types

# What nest_asyncio does: it takes asyncio's own kind of loop, and makes it re-entrant.
nest_asyncio = types.ModuleType("nest_asyncio")
sys.modules["nest_asyncio"] = nest_asyncio


def apply():
    loop = asyncio.get_event_loop()
    if not isinstance(loop, asyncio.BaseEventLoop):
        raise ValueError(f"Can't patch loop of type {type(loop)}")
    return type(loop).__name__


import pondage

AT_IMPORT = apply()


class Nested(pondage.App, name="acme/nested"):
    async def setup(self):
        self.in_setup = apply()

    @pondage.endpoint("/")
    async def run(self) -> list[str]:
        return [self.in_setup, apply()]
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_an_app_that_patches_loops_gets_a_loop_that_can_be_patched(gateway: Gateway, tmp_path: Path) -> None:
    path = tmp_path / "nested.py"
    path.write_text(NESTED)
    async with running(gateway, f"{path}:Nested", "acme/nested"):
        await gateway.ready()
        assert await answer(gateway) == ["_UnixSelectorEventLoop", "_UnixSelectorEventLoop"]
        await gateway.die()
        await gateway.listen("second.sock")
        gateway.note.write_text(str(gateway.socket))
        await gateway.until(lambda: gateway.hellos == 2)
        assert await answer(gateway) == ["_UnixSelectorEventLoop", "_UnixSelectorEventLoop"]


LIBRARY = """
import multiprocessing

import html
import queue
import neighbour_of_html

import pondage


def escaped(text: str) -> str:
    return html.escape(text)


class Html(pondage.App, name="acme/html"):
    @pondage.endpoint("/")
    def run(self) -> list[str]:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            (there,) = pool.map(escaped, ["<"])
        return [html.escape("<"), there, neighbour_of_html.WORD, __name__]
"""


@pytest.mark.parametrize("name", ["html.py", "queue.py", "msgspec.py", "pondage.py", "app.v2.py", "my-app.py"])
async def test_an_apps_file_hides_no_library_and_finds_its_neighbours(
    gateway: Gateway, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    path.write_text(LIBRARY)
    (tmp_path / "neighbour_of_html.py").write_text("WORD = 'beside'\n")
    monkeypatch.chdir(tmp_path)
    async with running(gateway, f"{name}:Html", "acme/html"):
        await gateway.ready()
        assert (await answer(gateway))[:3] == ["&lt;", "&lt;", "beside"]


async def test_a_runner_leaves_with_its_gateway_though_setup_goes_on(gateway: Gateway, tmp_path: Path) -> None:
    gateway.welcome["reconnect"] = 0.3
    path = tmp_path / "endless.py"
    path.write_text(
        "import time\nimport pondage\nclass Endless(pondage.App):\n"
        "    def setup(self):\n        print('begun', flush=True)\n        time.sleep(600)\n"
        "    @pondage.endpoint('/')\n    def run(self): ...\n"
    )
    async with running(gateway, f"{path}:Endless") as runner:
        await gateway.until(lambda: "begun" in words(gateway))
        await gateway.die()
        assert await runner.exit_code() == 4
    assert not gateway.all(SetupFailed)


async def test_a_runner_whose_loop_is_blocked_leaves_with_its_gateway_too(gateway: Gateway, tmp_path: Path) -> None:
    gateway.welcome["reconnect"] = 0.3
    path = tmp_path / "blocked.py"
    path.write_text(
        "import time\nimport pondage\nclass Blocked(pondage.App):\n"
        "    @pondage.endpoint('/')\n    async def run(self):\n        print('blocked')\n        time.sleep(600)\n"
    )
    async with running(gateway, f"{path}:Blocked") as runner:
        await gateway.ready()
        request_id = gateway.execute("/")
        await gateway.until(lambda: gateway.logs(request_id))
        await gateway.die()
        assert await runner.exit_code() == 4
