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


FORKS = """
import asyncio
import os
import sys

import pondage


def code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Turn:
    def __await__(self):
        yield


class Forks(pondage.App, name="acme/forks", max_multiplexing=4):
    def setup(self) -> None:
        if not (pid := os.fork()):
            sys.exit(9)
        self.first = code(pid)
        if not (pid := os.fork()):
            return
        self.second = code(pid)

    @pondage.endpoint("/setup")
    def from_setup(self) -> list[int]:
        return [self.first, self.second]

    @pondage.endpoint("/exits")
    def exits(self) -> int:
        if not (pid := os.fork()):
            print("the child")
            sys.exit(7)
        return code(pid)

    @pondage.endpoint("/says")
    def says(self) -> int:
        if not (pid := os.fork()):
            sys.exit("the child's last words")
        return code(pid)

    @pondage.endpoint("/fails")
    def fails(self) -> int:
        if not (pid := os.fork()):
            raise ValueError("in the child")
        return code(pid)

    @pondage.endpoint("/returns")
    def returns(self) -> int:
        return code(pid) if (pid := os.fork()) else -1

    @pondage.endpoint("/yields")
    def yields(self):
        pid = os.fork()
        for i in range(3):
            yield i
        yield code(pid)

    @pondage.endpoint("/async/exits")
    async def exits_on_the_loop(self) -> int:
        if not (pid := os.fork()):
            sys.exit(7)
        return await asyncio.to_thread(code, pid)

    @pondage.endpoint("/async/fails")
    async def fails_on_the_loop(self) -> int:
        if not (pid := os.fork()):
            raise ValueError("in the child")
        return await asyncio.to_thread(code, pid)

    @pondage.endpoint("/async/waits")
    async def waits_on_the_loop(self) -> int:
        if not (pid := os.fork()):
            await Turn()
            os._exit(8)
        return await asyncio.to_thread(code, pid)

    @pondage.endpoint("/async/yields")
    async def yields_on_the_loop(self):
        pid = os.fork()
        yield 1
        yield await asyncio.to_thread(code, pid)

    @pondage.endpoint("/batch", max_batch_size=2)
    def batch(self, items: list[int]) -> list[int]:
        if not (pid := os.fork()):
            sys.exit(7)
        return [code(pid)] * len(items)
"""


async def test_a_forked_child_that_comes_back_to_us_ends_as_a_script_does(gateway: Gateway, tmp_path: Path) -> None:
    path = tmp_path / "forks.py"
    path.write_text(FORKS)
    async with running(gateway, f"{path}:Forks", "acme/forks"):
        await gateway.ready()
        assert await answer(gateway, "/setup") == [9, 0]
        assert await answer(gateway, "/exits") == 7
        assert await answer(gateway, "/says") == 1
        assert await answer(gateway, "/fails") == 1
        assert await answer(gateway, "/returns") == 0
        assert await answer(gateway, "/yields") == 0
        assert await answer(gateway, "/async/exits") == 7
        assert await answer(gateway, "/async/fails") == 1
        assert await answer(gateway, "/async/waits") == 0
        assert await answer(gateway, "/async/yields") == 0
        assert await answer(gateway, "/batch", {"items": 1}) == 7
        assert await answer(gateway, "/setup") == [9, 0], "the runner serves on"
        assert gateway.hellos == 1, "no child has reached the gateway"


async def test_the_connection_lasts_until_the_process_has_ended(gateway: Gateway, tmp_path: Path) -> None:
    """A gateway ends a runner at once whose connection breaks, and with it what `atexit` has to do."""
    path = tmp_path / "late.py"
    path.write_text(
        "import atexit, pondage, time\n"
        "def late():\n"
        "    time.sleep(0.3)\n"
        f"    open({str(tmp_path / 'done')!r}, 'w').close()\n"
        "atexit.register(late)\n"
        "class Late(pondage.App, name='acme/late'):\n"
        "    @pondage.endpoint('/')\n"
        "    def run(self) -> None: ...\n"
    )
    async with running(gateway, f"{path}:Late", "acme/late") as runner:
        await gateway.ready()
        gateway.send(Drain(grace=5.0))
        await gateway.until(lambda: not gateway.connected)
        assert (tmp_path / "done").exists()
        assert await runner.exit_code() == 0


LOGS = """
import logging
import sys

import pondage

logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="formatted %(message)s")
logging.debug("at import")


class Logs(pondage.App, name="acme/logs"):
    def setup(self) -> None:
        logging.basicConfig(level=logging.INFO, filename=FILE)
        logging.info("in setup")
        logging.basicConfig(level=logging.ERROR)  # a second time it does nothing, as ever

    @pondage.endpoint("/")
    def run(self) -> str:
        logging.info("in a request")
        with open(FILE) as file:
            return file.read()

    @pondage.endpoint("/wrong")
    def wrong(self) -> None:
        logging.getLogger().handlers[:] = [h for h in logging.getLogger().handlers if "Record" in type(h).__name__]
        logging.basicConfig(style="no such")
"""


async def test_basic_config_works_as_in_a_script(gateway: Gateway, tmp_path: Path) -> None:
    path = tmp_path / "logs.py"
    path.write_text(f"FILE = {str(tmp_path / 'app.log')!r}\n{LOGS}")
    async with running(gateway, f"{path}:Logs", "acme/logs"):
        await gateway.ready()
        first = gateway.execute("/")
        outcome = (await gateway.finished(first)).outcome
        assert msgspec.json.decode(outcome.body) == "INFO:root:in setup\nINFO:root:in a request\n"
        assert gateway.logs(first) == [("INFO", "in a request")]
        assert [word for word in words(gateway) if word in ("at import", "in setup", "formatted at import")] == [
            "at import", "in setup",
        ]  # fmt: skip
        wrong = await gateway.call("/wrong")
        assert (wrong.error or "").startswith("ValueError: Style must be one of")
        last = gateway.execute("/")
        await gateway.finished(last)
        assert gateway.logs(last) == [("INFO", "in a request")], "our handler has stayed"
