"""`serve --reload`: a planned stop of the one app whose own files have changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from pondage.server import Server
from pondage.settings import Settings

from ..apps.gates import Gate

pytestmark = pytest.mark.anyio

APP = """
import os
import pondage
{imports}

class {name}(pondage.App, name="acme/{alias}", max_multiplexing=8):
    @pondage.endpoint("/")
    async def run(self) -> dict[str, object]:
        return {{"pid": os.getpid(), "word": {word}}}

    @pondage.endpoint("/gated")
    async def gated(self, gate: str) -> dict[str, object]:
        import asyncio
        while not os.path.getsize(gate):
            await asyncio.sleep(0.01)
        return {{"attempt": pondage.current_request.attempt, "strikes": 0}}
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "apps"
    made.mkdir()
    (made / "words.py").write_text("WORD = 1\n")
    (made / "stray.py").write_text("")
    (made / "one.py").write_text(APP.format(imports="import words", name="One", alias="one", word="words.WORD"))
    (made / "two.py").write_text(APP.format(imports="", name="Two", alias="two", word="0"))
    return made


@pytest.fixture
async def server(folder: Path, tmp_path: Path) -> AsyncIterator[Server]:
    settings = Settings(port=0, data=str(tmp_path / "data"), grace=1.0, cancel_grace=1.0, heartbeat=0.4)
    server = await Server.open(settings, [str(folder / "one.py"), str(folder / "two.py")], reload=True)
    stop = asyncio.Event()
    running = asyncio.ensure_future(server.run(stop))
    yield server
    stop.set()
    await running


async def until(what: Callable[[], Any]) -> Any:
    end = time.monotonic() + 30
    while not (found := await what()):
        assert time.monotonic() < end
        await asyncio.sleep(0.05)
    return found


async def test_one_app_starts_again_and_no_other(server: Server, folder: Path, tmp_path: Path) -> None:
    gates = [Gate(tmp_path / "short"), Gate(tmp_path / "long")]
    async with httpx2.AsyncClient(base_url=server.url, timeout=60) as http:

        async def word(app: str) -> dict[str, Any]:
            found: dict[str, Any] = (await http.post(f"/acme/{app}", json={})).json()
            return found

        one, two = await word("one"), await word("two")
        assert one["word"] == 1
        await anyio.Path(folder / "stray.py").write_text("changed = True\n")
        finishes, again = (
            asyncio.ensure_future(http.post("/acme/one/gated", json={"gate": str(gate)})) for gate in gates
        )

        async def both_run() -> bool:
            return sum(len(r.running) for r in server.fleet.runners()) == 2

        await until(both_run)
        await asyncio.sleep(1.2)  # two looks at the files
        assert (await word("one"))["pid"] == one["pid"], "nobody imports what has changed"
        await anyio.Path(folder / "words.py").write_text("WORD = 2\n")

        async def fresh() -> bool:
            return bool((await word("one"))["word"] == 2)

        await until(fresh)
        gates[0].open()
        answer = await finishes
        assert (answer.status_code, answer.json()["attempt"]) == (200, 1), "it had its time to finish"

        async def gone() -> bool:
            return one["pid"] not in {r.pid for r in server.fleet.runners()}

        await until(gone)
        assert not again.done(), "whoever waits notices nothing"
        gates[1].open()
        answer = await again
        assert (answer.status_code, answer.json()["attempt"]) == (200, 2)
        view = (await http.get(f"/api/v1/requests/{answer.headers['x-fal-request-id']}")).json()
        assert view["strikes"] == 0, "it did nothing wrong"
        assert (await word("two"))["pid"] == two["pid"]
