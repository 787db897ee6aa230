"""A server is stopped, or killed, and started again under callers of every kind: each request is executed once.

The callers repeat as their packages do, and where they do not, as whoever uses them would: once, after the restart.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

import httpx2
import pytest

import pondage
from pondage.testing import GatewayProcess

from ...apps.gates import Gate
from . import java
from .conftest import APPS

LIMIT = 60.0

Input = dict[str, str]


class Failed(Exception):
    """The caller got no result; a stranger would call again."""


_FAL = """
import asyncio, json, sys
import fal_client, httpx
import fal_client.client as module

url, endpoint, input, way = sys.argv[1:]
module.RUN_URL_FORMAT = url + "/"
try:
    if way == "sync":
        print(json.dumps(fal_client.SyncClient(key="a:b").run(endpoint, json.loads(input))))
    else:
        print(json.dumps(asyncio.run(fal_client.AsyncClient(key="a:b").run(endpoint, json.loads(input)))))
except (httpx.HTTPError, fal_client.FalClientError) as error:
    sys.exit(f"no result: {error}")
"""
_OURS = """
import asyncio, json, sys, pondage

async def call(url, endpoint, input, way):
    async with pondage.AsyncClient(base_url=url) as client:
        print(json.dumps(await client.run(endpoint, json.loads(input))))

asyncio.run(call(*sys.argv[1:]))
"""


def child(code: str, way: str, url: str, endpoint: str, input: Input) -> Any:
    ran = subprocess.run(
        [sys.executable, "-c", code, url, endpoint, json.dumps(input), way],
        capture_output=True, text=True, timeout=LIMIT,
    )  # fmt: skip
    if ran.returncode:
        assert ran.stderr.startswith("no result:"), ran.stderr
        raise Failed(ran.stderr)
    return json.loads(ran.stdout)


def ours(url: str, endpoint: str, input: Input) -> Any:
    with pondage.SyncClient(base_url=url) as client:
        return client.run(endpoint, input)


def fal_java(url: str, endpoint: str, input: Input) -> Any:
    try:
        return java.Client(f"{url}/api/fal/proxy").run(endpoint, input).data
    except (java.FalException, OSError, http.client.HTTPException) as error:
        raise Failed(str(error)) from error


def curl(url: str, endpoint: str, input: Input) -> Any:
    ran = subprocess.run(
        ["curl", "-sS", "-i", f"{url}/{endpoint}", "-H", "content-type: application/json", "-d", json.dumps(input)],
        capture_output=True, text=True, timeout=LIMIT,
    )  # fmt: skip
    if ran.returncode:
        assert ran.returncode in {7, 52, 56}, ran.stderr  # refused, empty reply, reset
        raise Failed(ran.stderr)
    head, _, body = ran.stdout.rpartition("\n\n")
    assert "content-type: application/json" in head, head
    if " 200 " not in head.splitlines()[0]:
        assert " 503 " in head.splitlines()[0] and "retry-after: 1" in head, head
        assert set(json.loads(body)) == {"detail"}
        raise Failed(head)
    return json.loads(body)


def fal_js(packages: Path) -> Callable[[str, str, Input], Any]:
    def call(url: str, endpoint: str, input: Input) -> Any:
        ran = subprocess.run(
            ["node", "once.mjs", endpoint, json.dumps(input)],
            cwd=packages, env=os.environ | {"GATEWAY_URL": url, "GATEWAY_KEY": "a:b"},
            capture_output=True, text=True, timeout=LIMIT,
        )  # fmt: skip
        if ran.returncode:
            raise Failed(ran.stderr)
        return json.loads(ran.stdout.splitlines()[-1])

    return call


KINDS: dict[str, Callable[[str, str, Input], Any]] = {
    "fal's Python": partial(child, _FAL, "sync"),
    "fal's Python, async": partial(child, _FAL, "async"),
    "ours": ours,
    "ours, async": partial(child, _OURS, "async"),
    "Java": fal_java,
    "curl": curl,
}
BY_ITSELF = {"ours", "ours, async"}
"""Who comes back over any stop, however it ends, without its user's doing."""


class Caller(threading.Thread):
    """One call; with `again`, once more after the restart where it failed."""

    def __init__(self, call: Callable[[], Any], again: threading.Event, *, repeats: bool = True) -> None:
        super().__init__(daemon=True)
        self._call = call
        self._again = again
        self._repeats = repeats
        self.result: Any = None
        self.failures: list[Exception] = []

    def run(self) -> None:
        try:
            self.result = self._call()
        except Failed as failed:
            self.failures.append(failed)
            if self._repeats and self._again.wait(LIMIT):
                self._repeat()
        except Exception as error:
            self.failures.append(error)

    def _repeat(self) -> None:
        try:
            self.result = self._call()
        except Exception as error:
            self.failures.append(error)


class Stand(NamedTuple):
    """A server, a journal of executions, and the gate that all of them wait for."""

    process: GatewayProcess
    journal: Path
    gate: Gate

    def input(self, word: str) -> Input:
        return {"journal": str(self.journal), "gate": str(self.gate), "word": word}

    def lines(self) -> Counter[str]:
        return Counter(self.journal.read_text().splitlines())

    def until(self, ready: Callable[[], bool]) -> None:
        end = time.monotonic() + LIMIT
        while not ready():
            assert time.monotonic() < end, f"{self.lines()}\n{self.process.log.read_text(errors='replace')[-4000:]}"
            time.sleep(0.02)

    def waiting(self) -> int:
        with urlopen(f"{self.process.url}/api/v1/requests?app=acme/narrow&state=IN_QUEUE&limit=100") as answer:
            return len(json.load(answer)["items"])


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    journal = tmp_path / "journal"
    journal.touch()
    with GatewayProcess(str(APPS / "counted.py"), data=tmp_path / "data", grace=0.5) as process:
        yield Stand(process, journal, Gate(tmp_path / "gate"))


@pytest.fixture
def kinds(packages: Path) -> dict[str, Callable[[str, str, Input], Any]]:
    found = {**KINDS, "fal's JavaScript": fal_js(packages)}
    if shutil.which("curl") is None:
        del found["curl"]
    return found


def sigterm(process: GatewayProcess) -> None:
    assert process.stop() == 0


def kill(process: GatewayProcess) -> None:
    process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("end", [sigterm, kill])
def test_each_request_is_executed_once(
    stand: Stand, kinds: dict[str, Callable[[str, str, Input], Any]], end: Callable[[GatewayProcess], None]
) -> None:
    process, again = stand.process, threading.Event()

    def caller(kind: str, app: str, word: str, *, repeats: bool = True) -> Caller:
        made = Caller(lambda: kinds[kind](process.url, app, stand.input(word)), again, repeats=repeats)
        made.start()
        return made

    begun = {kind: caller(kind, "acme/counted", kind) for kind in kinds}
    stand.until(lambda: stand.lines() == Counter(f"begun {kind}" for kind in kinds))
    with httpx2.Client(base_url=process.url) as http:
        held = http.post("/queue/acme/narrow", json=stand.input("in the way")).json()["request_id"]
    stand.until(lambda: "begun in the way" in stand.lines())
    waiting = {kind: caller(kind, "acme/narrow", f"{kind} waits") for kind in kinds}
    waiting["gives up"] = caller("curl" if "curl" in kinds else "Java", "acme/narrow", "gives up waits", repeats=False)
    stand.until(lambda: stand.waiting() == len(waiting))
    end(process)
    stand.gate.open(4)
    process.start()
    again.set()
    for one in (*begun.values(), *waiting.values()):
        one.join(LIMIT)
        assert not one.is_alive()
    with httpx2.Client(base_url=process.url, timeout=60) as http:
        http.get(f"/queue/acme/narrow/requests/{held}", headers={"prefer": "wait=50"}).raise_for_status()
    failures = str(
        {kind: one.failures for kind, one in (begun | {f"{k} waits": w for k, w in waiting.items()}).items()}
    )
    assert {kind: one.result for kind, one in begun.items()} == {kind: {"word": kind} for kind in kinds}, failures
    gave_up = waiting.pop("gives up")
    assert gave_up.result is None and isinstance(gave_up.failures[0], Failed)
    assert {kind: one.result for kind, one in waiting.items()} == {k: {"word": f"{k} waits"} for k in kinds}, str(
        failures
    )
    for kind in BY_ITSELF:
        assert begun[kind].failures == waiting[kind].failures == [], f"{kind} comes back by itself"
    ended = Counter({line: n for line, n in stand.lines().items() if line.startswith("ended")})
    once = [*kinds, *(f"{kind} waits" for kind in kinds), "in the way"]
    assert ended == Counter(f"ended {word}" for word in once)
    if end is kill:
        assert all(stand.lines()[f"begun {kind}"] == 1 for kind in kinds), "its runner lived on"
    log = process.log.read_text(errors="replace")
    assert "Traceback" not in log and "ASGI" not in log, log
