"""What child processes and C code print: to the request that alone is served, else to the runner's log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pondage.wire.events import Log
from pondage.wire.frames import Drain, RunnerLog, SetupFailed

from .conftest import Gateway, running

pytestmark = pytest.mark.anyio

APP = r"""
import ctypes
import os
import subprocess
import sys
import time

import pondage

C = ctypes.CDLL(None)
os.write(1, b"at import\n")


class Loud(pondage.App, name="acme/loud", max_multiplexing=2):
    def teardown(self) -> None:
        C.printf(b"torn down, without an end of line")

    @pondage.endpoint("/ways")
    def ways(self) -> None:
        subprocess.run(["echo", "child"], check=True)
        subprocess.run("echo child of a shell >&2", shell=True, check=True)
        subprocess.run(["echo", "to our stream"], stdout=sys.stdout, check=True)
        os.system("echo system")
        C.puts(b"C code")
        C.printf(b"%s\n", b"formatted")
        os.write(2, b"descriptor\n")
        print("the stream beneath", file=sys.__stdout__)
        if (pid := os.fork()) == 0:
            print("fork")
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(pid, 0)

    @pondage.endpoint("/pieces")
    def pieces(self) -> None:
        for byte in "é✅🎉 10%\r20%\nno end".encode():
            os.write(1, bytes([byte]))

    @pondage.endpoint("/wait")
    def wait(self, gate: str) -> None:
        while not os.path.exists(gate):
            time.sleep(0.01)

    @pondage.endpoint("/say")
    def say(self, what: str) -> None:
        subprocess.run(["echo", what], check=True)

    @pondage.endpoint("/blocked")
    async def blocked(self) -> None:
        # More than a pipe holds, while the loop is blocked.
        code = "for _ in range(20_000): print('y' * 99)"
        subprocess.run([sys.executable, "-S", "-c", code], check=True)

    @pondage.endpoint("/later")
    def later(self, gate: str) -> None:
        subprocess.Popen(f"while [ ! -e {gate} ]; do sleep 0.02; done; echo after the end", shell=True)

    @pondage.endpoint("/close")
    def close(self) -> int:
        os.close(1)
        os.close(2)
        return 1
"""


def said(gateway: Gateway) -> list[str]:
    return [e.message for frame in gateway.all(RunnerLog) for e in frame.entries if isinstance(e, Log)]


@pytest.fixture
async def loud(gateway: Gateway, tmp_path: Path) -> AsyncIterator[Gateway]:
    path = tmp_path / "loud.py"
    path.write_text(APP)
    async with running(gateway, f"{path}:Loud", "acme/loud") as runner:
        await gateway.ready()
        gateway.runner = runner  # type: ignore[attr-defined]
        yield gateway


async def test_everything_that_reaches_the_descriptors_is_the_only_requests(loud: Gateway) -> None:
    request_id = loud.execute("/ways")
    assert (await loud.finished(request_id)).outcome.status == 200
    logs = loud.logs(request_id)
    assert [line for stream, line in logs if stream == "STDOUT"] == [
        "child", "to our stream", "system", "C code", "formatted", "the stream beneath", "fork",
    ]  # fmt: skip
    assert [line for stream, line in logs if stream == "STDERR"] == ["child of a shell", "descriptor"]
    assert said(loud) == ["at import"]


async def test_pieces_become_whole_characters_and_lines(loud: Gateway) -> None:
    request_id = loud.execute("/pieces")
    await loud.finished(request_id)
    assert [line for _, line in loud.logs(request_id)] == ["é✅🎉 10%", "20%", "no end"]


async def test_of_two_requests_nobody_can_tell_whose_it_is(loud: Gateway, tmp_path: Path) -> None:
    waiting = loud.execute("/wait", {"gate": str(tmp_path / "gate")})
    saying = loud.execute("/say", {"what": "somebody's"})
    assert (await loud.finished(saying)).outcome.status == 200
    await loud.until(lambda: "somebody's" in said(loud))
    (tmp_path / "gate").touch()
    await loud.finished(waiting)
    assert loud.logs(waiting) == loud.logs(saying) == []
    alone = loud.execute("/say", {"what": "mine"})
    await loud.finished(alone)
    assert loud.logs(alone) == [("STDOUT", "mine")]


async def test_what_comes_after_the_end_is_the_runners(loud: Gateway, tmp_path: Path) -> None:
    request_id = loud.execute("/later", {"gate": str(tmp_path / "gate")})
    await loud.finished(request_id)
    (tmp_path / "gate").touch()
    await loud.until(lambda: "after the end" in said(loud))
    assert loud.logs(request_id) == []


async def test_a_child_that_prints_much_is_read_while_the_loop_is_blocked(loud: Gateway) -> None:
    request_id = loud.execute("/blocked")
    assert (await loud.finished(request_id)).outcome.status == 200
    assert len(loud.logs(request_id)) == 20_000


async def test_a_stream_that_is_closed_ends_and_costs_nothing(loud: Gateway) -> None:
    assert (await loud.call("/close")).status == 200
    assert (await loud.call("/close")).status == 500, "it is closed already"
    request_id = loud.execute("/wait", {"gate": "/"})
    assert (await loud.finished(request_id)).outcome.status == 200


async def test_what_c_code_holds_back_comes_at_the_end(loud: Gateway) -> None:
    loud.send(Drain(grace=5.0))
    assert await loud.runner.exit_code() == 0  # type: ignore[attr-defined]
    await loud.until(lambda: "torn down, without an end of line" in said(loud))


async def test_what_was_printed_before_a_failure_to_set_up_is_told(gateway: Gateway, tmp_path: Path) -> None:
    path = tmp_path / "fails.py"
    path.write_text(
        "import os, pondage\nclass Bad(pondage.App):\n"
        "    def setup(self):\n        os.write(2, b'libcuda.so is not there\\n')\n        raise OSError('no device')\n"
        "    @pondage.endpoint('/')\n    def run(self): ...\n"
    )
    async with running(gateway, f"{path}:Bad") as runner:
        await gateway.first(SetupFailed)
        assert await runner.exit_code() == 3
        assert "libcuda.so is not there" in said(gateway)
