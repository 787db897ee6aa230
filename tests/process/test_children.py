"""What a runner has started ends with it: on every way out, wherever it went, and nothing else does."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from pondage.fleet.discover import AppSource
from pondage.testing import GatewayProcess, serve

from ..apps.family import SLEEP, WAYS

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="tells processes apart by /proc")

APP = Path(__file__).parents[1] / "apps" / "family.py"
FAMILY, OTHER = f"{APP}:Family", f"{APP}:Other"
INHERITED = [way for way in WAYS if way != "nameless"]
"""What still bears the mark of its runner."""

Start = Callable[..., GatewayProcess]


class Family:
    """The runner and the children of a request that holds on."""

    def __init__(self, url: str, note: Path, ways: list[str], app: str = "acme/family", hold: bool = True) -> None:
        self.http = httpx2.Client(base_url=url, timeout=60)
        body = {"note": str(note), "ways": ways, "hold": hold}
        self.path = f"/queue/{app}"
        answer = self.http.post(self.path, json=body)
        assert answer.status_code == 200, answer.text
        self.id = answer.json()["request_id"]
        end = time.monotonic() + 30
        while not note.exists():
            assert time.monotonic() < end, "the children were not started"
            time.sleep(0.02)
        runner, *children = map(int, note.read_text().split())
        self.runner = psutil.Process(runner)
        self.children = [psutil.Process(pid) for pid in children]
        assert len(self.children) == len(ways)

    def gone(self, timeout: float = 30) -> bool:
        """Whether the runner and all its children end."""
        _, alive = psutil.wait_procs([self.runner, *self.children], timeout)
        return not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    yield
    for note in tmp_path.glob("note*"):
        for pid in map(int, note.read_text().split()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def cancel(process: GatewayProcess, family: Family) -> None:
    assert family.http.put(f"{family.path}/requests/{family.id}/cancel").status_code == 202


def kill_the_runner(process: GatewayProcess, family: Family) -> None:
    family.runner.send_signal(signal.SIGKILL)


def stop_in_order(process: GatewayProcess, family: Family) -> None:
    process.stop()


def stop_in_a_hurry(process: GatewayProcess, family: Family) -> None:
    os.kill(process.pid, signal.SIGTERM)
    os.kill(process.pid, signal.SIGINT)
    process.wait()


@pytest.mark.parametrize("end", [cancel, kill_the_runner, stop_in_order, stop_in_a_hurry])
def test_all_that_a_runner_has_started_ends_with_it(
    gateway: Start, tmp_path: Path, end: Callable[[GatewayProcess, Family], None]
) -> None:
    process = gateway(FAMILY, cancel_grace=0.3, grace=0.3)
    process.start()
    family = Family(process.url, tmp_path / "note", list(WAYS))
    (tmp_path / "note").rename(tmp_path / "note1")  # it may run again
    end(process, family)
    assert family.gone()
    process.stop()


def test_a_time_limit_ends_children_too(gateway: Start, tmp_path: Path) -> None:
    process = gateway(FAMILY, cancel_grace=0.3, run_timeout=2.0)
    process.start()
    assert Family(process.url, tmp_path / "note", list(WAYS)).gone()
    process.stop()


def test_children_live_as_long_as_their_runner(gateway: Start, tmp_path: Path) -> None:
    process = gateway(FAMILY)
    process.start()
    family = Family(process.url, tmp_path / "note", list(WAYS), hold=False)
    answer = family.http.get(f"{family.path}/requests/{family.id}", headers={"prefer": "wait=40"})
    assert answer.status_code == 200
    assert all(child.is_running() for child in family.children)
    family.http.post("/acme/family/exit", json={}, headers={"x-fal-no-retry": "1"})
    assert family.gone()
    process.stop()


def test_an_apps_end_leaves_the_children_of_another(gateway: Start, tmp_path: Path) -> None:
    process = gateway(FAMILY, OTHER)
    process.start()
    other = Family(process.url, tmp_path / "note1", list(WAYS), "acme/other")
    family = Family(process.url, tmp_path / "note2", INHERITED)
    (tmp_path / "note2").rename(tmp_path / "note3")
    kill_the_runner(process, family)
    assert family.gone()
    assert all(child.is_running() for child in other.children)
    process.stop()
    assert other.gone()


def test_a_runner_that_finds_no_gateway_takes_its_children_along(gateway: Start, tmp_path: Path) -> None:
    process = gateway(FAMILY, reconnect=1.0)
    process.start()
    family = Family(process.url, tmp_path / "note", list(WAYS))
    process.kill()
    assert family.gone()


def test_a_survivor_that_is_killed_takes_its_children_along(gateway: Start, tmp_path: Path) -> None:
    process = gateway(FAMILY)
    process.start()
    family = Family(process.url, tmp_path / "note", INHERITED)
    process.kill()
    process.start()
    assert family.runner.is_running()
    (tmp_path / "note").rename(tmp_path / "note1")
    kill_the_runner(process, family)
    assert family.gone()
    process.stop()


def test_the_next_start_ends_what_is_left_of_runners_that_died_alone(gateway: Start, tmp_path: Path) -> None:
    process = gateway(FAMILY)
    process.start()
    family = Family(process.url, tmp_path / "note", INHERITED)
    (tmp_path / "note").rename(tmp_path / "note1")
    process.kill_everything()
    family.runner.wait(10)
    assert all(child.is_running() for child in family.children)
    process.start(ready=False)
    assert family.gone()
    process.stop()


def test_a_server_within_another_program_inherits_and_ends_nothing_of_it(tmp_path: Path) -> None:
    flag = ctypes.c_int()
    with subprocess.Popen(SLEEP, start_new_session=True) as own:
        with serve(FAMILY, cancel_grace=0.3, grace=0.3) as served:
            family = Family(served.url, tmp_path / "note", INHERITED)
            (tmp_path / "note").rename(tmp_path / "note1")
            assert ctypes.CDLL(None).prctl(37, ctypes.byref(flag), 0, 0, 0) == 0
            assert flag.value == 0, "no subreaper"

            async def reload() -> None:
                await served.server.fleet.supervisor.serve(AppSource(FAMILY, "acme/family", APP))

            served.call(reload())
            cancelled: Any = family.http.put(f"{family.path}/requests/{family.id}/cancel")
            assert cancelled.status_code == 202
            assert family.gone()
        assert own.poll() is None
        own.kill()
