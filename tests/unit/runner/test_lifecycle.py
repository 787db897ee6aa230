"""The runner's start, its end, and the deaths between: of its app, of its gateway, of itself."""

from __future__ import annotations

import signal
from pathlib import Path

import msgspec
import pytest

from pondage.wire.events import Log
from pondage.wire.frames import Cancel, Drain, Finished, Heartbeat, Hello, Poisoned, Ready, RunnerLog, SetupFailed

from .conftest import APPS, Gateway, running

pytestmark = pytest.mark.anyio

HEAD = "import pondage\nclass Bad(pondage.App):\n"


@pytest.mark.parametrize(
    ("source", "reason", "line"),
    [
        ("import pondage\nimport not_there\n", "No module named 'not_there'", 2),
        ("import pondage\nclass Bad(:\n", "SyntaxError", 2),
        ("import pondage\nimport sys\nsys.exit(1)\n", "SystemExit", 3),
        (
            HEAD + "    def setup(self):\n        raise OSError('no weights')\n"
            "    @pondage.endpoint('/')\n    def run(self): ...\n",
            "setup() failed: OSError: no weights",
            4,
        ),
        (
            HEAD + "    async def setup(self):\n        raise SystemExit(1)\n"
            "    @pondage.endpoint('/')\n    def run(self): ...\n",
            "setup() failed: SystemExit: 1",
            4,
        ),
        (
            HEAD + "    @pondage.endpoint('/')\n    def run(self, x: Missing): ...\n",
            "name 'Missing' is not defined",
            4,
        ),
        (
            "from __future__ import annotations\n"
            + HEAD
            + "    @pondage.endpoint('/')\n    def run(self, x: Missing): ...\n",
            "the type hints of Bad.run: name 'Missing' is not defined",
            4,
        ),
        (HEAD + "    @pondage.endpoint('/')\n    def run(self, *x): ...\n", "*x has no place", 3),
        (HEAD + "    pass\n", "Bad has no endpoint", 0),
        ("import pondage\n", "is no class that derives from pondage.App", 0),
    ],
)
async def test_an_app_that_does_not_start_says_file_and_line(
    gateway: Gateway, tmp_path: Path, source: str, reason: str, line: int
) -> None:
    path = tmp_path / "bad.py"
    path.write_text(source)
    async with running(gateway, f"{path}:Bad") as runner:
        failed = await gateway.first(SetupFailed)
        assert reason in failed.reason
        assert "\n" not in failed.reason
        assert failed.where == (f"{path}:{line}" if line else "")
        assert await runner.exit_code() == 3


async def test_heartbeats_flow_while_setup_takes_long(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        HEAD + "    def setup(self):\n        import time; time.sleep(0.8)\n"
        "    @pondage.endpoint('/')\n    def run(self): ...\n"
    )
    async with running(gateway, f"{tmp_path / 'slow.py'}:Bad"):
        await gateway.ready()
    before = gateway.frames.index(gateway.all(Ready)[0])
    assert sum(isinstance(frame, Heartbeat) for frame in gateway.frames[:before]) >= 2


async def test_a_drain_waits_for_what_runs_and_then_tears_down(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "tidy.py").write_text(
        HEAD.replace("App)", "App, machine_type='GPU')") + "    async def teardown(self):\n        print('torn down')\n"
        "    def handle_exit(self):\n        print('leaving')\n"
        "    @pondage.endpoint('/')\n    async def run(self):\n"
        "        import asyncio; await asyncio.sleep(0.2); return 1\n"
    )
    async with running(gateway, f"{tmp_path / 'tidy.py'}:Bad") as runner:
        await gateway.ready()
        gateway.execute("/")
        gateway.send(Drain(grace=5.0))
        assert await runner.exit_code() == 0
    assert gateway.all(Finished)[0].outcome.status == 200
    said = [e.message for frame in gateway.all(RunnerLog) for e in frame.entries if isinstance(e, Log)]
    assert said == ["Bad: machine_type mean nothing here and are ignored", "leaving", "torn down"]


@pytest.mark.parametrize(("path", "code"), [("/exit", 7), ("/segfault", -signal.SIGSEGV)])
async def test_a_function_that_ends_the_process_ends_the_connection(gateway: Gateway, path: str, code: int) -> None:
    async with running(gateway, f"{APPS / 'basic.py'}:Echo") as runner:
        await gateway.ready()
        gateway.execute(path)
        assert await runner.exit_code() == code
    assert not gateway.all(Finished)


async def test_a_new_gateway_gets_what_was_finished_meanwhile(gateway: Gateway) -> None:
    gateway.commit = False
    async with running(gateway, f"{APPS / 'basic.py'}:Echo"):
        await gateway.ready()
        done = gateway.execute("/", {"x": 1})
        await gateway.finished(done)
        streamed = gateway.execute("/generate", {"count": 3}, mode="stream")
        await gateway.finished(streamed)
        slow = gateway.execute("/slow", {"seconds": 0.5, "steps": 1})
        await gateway.until(lambda: gateway.progress(slow))
        await gateway.die()
        gateway.frames.clear()
        gateway.commit = True
        await gateway.listen("second.sock")
        gateway.note.write_text(str(gateway.socket))
        hello = await gateway.first(Hello)
        assert sorted(hello.running) == sorted([(done, 1), (streamed, 1), (slow, 1)])
        await gateway.ready()
        assert (await gateway.finished(done)).outcome.body == b'{"y":2}'
        await gateway.finished(streamed)
        assert [n for n, _ in gateway.chunks(streamed)] == [1, 2, 3]
        assert (await gateway.finished(slow)).outcome.status == 200
        assert (await gateway.call("/", {"x": 5})).status == 200


async def test_without_a_gateway_a_runner_ends(gateway: Gateway) -> None:
    gateway.welcome["reconnect"] = 0.3
    async with running(gateway, f"{APPS / 'basic.py'}:Echo") as runner:
        await gateway.ready()
        await gateway.die()
        assert await runner.exit_code() == 4


async def test_a_gateway_that_dies_before_its_welcome_leaves_no_runner_behind(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "_answer", lambda frame: None)
    async with running(gateway, f"{APPS / 'basic.py'}:Echo") as runner:
        await gateway.first(Hello)
        await gateway.die()
        assert await runner.exit_code() == 4


async def test_an_async_function_that_blocks_costs_no_heartbeat_and_can_be_cancelled(echo: Gateway) -> None:
    request_id = echo.execute("/hang/async")
    beats = len(echo.all(Heartbeat))
    await echo.until(lambda: len(echo.all(Heartbeat)) >= beats + 3)
    assert echo.logs(request_id) == [("STDOUT", "hanging")]
    echo.send(Cancel(request_id, 1, "client_cancelled"))
    assert (await echo.finished(request_id)).outcome.status == 499
    assert (await echo.call("/", {"x": 1})).status == 200, "the loop goes on"
    assert not echo.all(Poisoned)


async def test_an_async_function_that_blocks_is_stopped_at_its_time_limit(echo: Gateway) -> None:
    outcome = await echo.call("/hang/async", timeout=0.3)
    assert outcome.status == 504
    assert (await echo.call("/", {"x": 1})).status == 200


async def test_the_apps_of_a_file_can_be_listed(tmp_path: Path) -> None:
    import asyncio
    import sys

    (tmp_path / "two.py").write_text(
        "import os, pondage\nprint('at import', flush=True)\nos.write(1, b'and by descriptor\\n')\n"
        "class First(pondage.App): ...\n"
        "class SecondApp(pondage.App, name='acme/two', env='named', pass_env=['A_*']): ...\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pondage.runner", "--list", str(tmp_path / "two.py"), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert msgspec.json.decode(out) == {
        "First": {"name": "first", "env": "inherit", "pass_env": []},
        "SecondApp": {"name": "acme/two", "env": "named", "pass_env": ["A_*"]},
    }


async def test_a_signal_drains_too(gateway: Gateway) -> None:
    async with running(gateway, f"{APPS / 'basic.py'}:Echo") as runner:
        await gateway.ready()
        request_id = gateway.execute("/slow", {"seconds": 0.2, "steps": 1})
        await gateway.until(lambda: gateway.progress(request_id))
        runner.process.terminate()
        assert await runner.exit_code() == 0
    assert gateway.all(Finished)[0].outcome.status == 200
