"""Whatever an app's hooks raise: a `setup()` that fails is reported, and an ordered end is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from pondage.wire.frames import Drain, SetupFailed
from pondage.wire.text import MAX_SENTENCE

from .conftest import APPS, Gateway, running

pytestmark = pytest.mark.anyio

APP = """
import sys
sys.path.insert(0, {apps!r})
import unruly
import pondage


class Life(pondage.App, name="acme/life"):
    {setup}def setup(self) -> None:
        if {what!r}:
            raise unruly.RAISED[{what!r}]()

    def health(self):
        raise unruly.RAISED["StopIteration"]()

    def provide_hints(self):
        return [unruly.HALF, unruly.Mute(), "one\\r\\ntwo"]

    def handle_exit(self) -> None:
        raise unruly.RAISED["GeneratorExit"]()

    def teardown(self) -> None:
        raise unruly.RAISED["StopIteration"]()

    @pondage.endpoint("/")
    def run(self) -> str:
        return "ok"
"""


def app(folder: Path, what: str, setup: str = "") -> str:
    path = folder / "life.py"
    path.write_text(APP.format(apps=str(APPS), what=what, setup=setup))
    return f"{path}:Life"


@pytest.mark.parametrize("setup", ["", "async "])
@pytest.mark.parametrize("what", ["StopIteration", "SystemExit", "mute", "group", "syntax", "long"])
async def test_a_setup_that_raises_anything_is_reported(
    gateway: Gateway, tmp_path: Path, what: str, setup: str
) -> None:
    async with running(gateway, app(tmp_path, what, setup), "acme/life") as runner:
        failed = await gateway.first(SetupFailed)
        assert failed.reason.startswith("setup() failed: ") and len(failed.reason) < MAX_SENTENCE + 100
        assert await runner.exit_code() == 3


async def test_hooks_that_raise_keep_no_runner_from_its_work_or_its_end(gateway: Gateway, tmp_path: Path) -> None:
    async with running(gateway, app(tmp_path, ""), "acme/life") as runner:
        await gateway.ready()
        outcome = await gateway.call("/")
        assert outcome.status == 200 and outcome.headers == {"content-type": "application/json"}, "hints are left out"
        assert (await gateway.call("/health")).status == 500
        gateway.send(Drain(5.0))
        assert await runner.exit_code() == 0


@pytest.mark.parametrize(
    "line", ["raise SystemExit(3)", "raise __import__('unruly').Mute", "x = 'caf\\udce9'; raise ValueError(x)"]
)
async def test_a_file_that_raises_anything_as_it_is_imported_is_reported(
    gateway: Gateway, tmp_path: Path, line: str
) -> None:
    path = tmp_path / "broken.py"
    path.write_text(f"import sys\nsys.path.insert(0, {str(APPS)!r})\n{line}\n")
    async with running(gateway, f"{path}:Life", "acme/life") as runner:
        failed = await gateway.first(SetupFailed)
        assert "does not import" in failed.reason and failed.where.endswith("broken.py:3")
        assert await runner.exit_code() == 3
