"""Whatever an author's code raises, returns or says, in whatever kind of endpoint: the attempt ends, and only it."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pondage.wire.events import Log, Outcome
from pondage.wire.frames import Finished, RunnerLog, SessionClose, SessionMessage
from pondage.wire.text import MAX_DETAIL, MAX_SENTENCE

from .conftest import APPS, Gateway, running

pytestmark = pytest.mark.anyio

CALLS = ("/sync", "/async", "/typed", "/batch", "/async/batch", "/generator", "/async/generator", "/iterator")
SESSIONS = ("/message", "/async/message", "/messages", "/async/messages")


def table() -> list[str]:
    spec = importlib.util.spec_from_file_location("unruly_table", APPS / "unruly.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    named = {"raise": module.RAISED, "return": module.RETURNED, "say": module.SAID}
    return [f"{verb} {name}" for verb, names in named.items() for name in names]


@pytest.fixture
async def unruly(gateway: Gateway) -> AsyncIterator[Gateway]:
    async with running(gateway, f"{APPS / 'unruly.py'}:Unruly", "acme/unruly") as runner:
        await gateway.ready()
        gateway.runner = runner  # type: ignore[attr-defined]
        yield gateway
        assert runner.process.returncode is None, "the process lives on"
        assert gateway.hellos == 1, "and its connection was never lost"


def check(what: str, outcome: Outcome, *, ends_an_iterator: bool = False) -> None:
    """An answer that a caller can read, and none that it would repeat."""
    body = msgspec.json.decode(outcome.body)
    assert outcome.status in (200, 400, 418, 422, 499, 500), (what, outcome.status)
    if outcome.status != 200:
        assert outcome.error and len(outcome.error) <= MAX_SENTENCE + 40, what
        assert len(outcome.body) <= 3 * 4 * MAX_DETAIL + 1000, (what, len(outcome.body))
        assert "detail" in body, what
    if what.startswith("raise") and not ends_an_iterator:
        assert outcome.status != 200, what


@pytest.mark.parametrize("path", CALLS)
async def test_every_attempt_ends(unruly: Gateway, path: str) -> None:
    for what in table():
        mode = "stream" if path.endswith(("generator", "iterator")) else "call"
        request_id = unruly.execute(path, {"what": what}, mode=mode)
        ended = (await unruly.finished(request_id)).outcome
        check(what, ended, ends_an_iterator=(path, what) == ("/iterator", "raise StopIteration"))
        assert (await unruly.call(path, {"what": "ok"}, mode=mode)).status == 200, f"after {what}"
        if what.startswith("raise"):
            unruly.frames.clear()


@pytest.mark.parametrize("path", SESSIONS)
async def test_every_message_has_an_end(unruly: Gateway, path: str) -> None:
    one_call = path.endswith("messages")
    for what in table():
        if what == "return too large":
            continue  # nobody here takes in what a session sends, so the function is held
        request_id = unruly.execute(path, mode="session")
        said = [SessionMessage(request_id, msgspec.json.encode({"what": word}), True) for word in (what, "ok")]
        unruly.send(*said)
        await unruly.until(lambda: answers(unruly, request_id, 1) or closed(unruly, request_id))  # noqa: B023
        if not one_call and not closed(unruly, request_id):
            await unruly.until(lambda: b'"ok"' in answers(unruly, request_id, 1))  # noqa: B023
        unruly.send(SessionClose(request_id))
        check("", (await unruly.finished(request_id)).outcome)
        unruly.frames.clear()


def answers(gateway: Gateway, request_id: str, least: int) -> list[bytes]:
    found = [bytes(f.data) for f in gateway.all(SessionMessage) if f.request_id == request_id]
    return found if len(found) >= least else []


def closed(gateway: Gateway, request_id: str) -> bool:
    return any(f.request_id == request_id for f in [*gateway.all(SessionClose), *gateway.all(Finished)])


async def test_what_cannot_be_written_is_escaped_in_the_log(unruly: Gateway) -> None:
    request_id = unruly.execute("/async", {"what": "say print half a character"})
    assert (await unruly.finished(request_id)).outcome.status == 200
    assert ("STDOUT", "caf\\udce9") in unruly.logs(request_id)


@pytest.mark.parametrize("kind", ["NumPy number", "decimal"])
async def test_progress_takes_numbers_of_any_kind(unruly: Gateway, kind: str) -> None:
    request_id = unruly.execute("/sync", {"what": f"say progress of a {kind}"})
    assert (await unruly.finished(request_id)).outcome.status == 200
    assert unruly.progress(request_id) == [(1.0, 10.0 if "NumPy" in kind else 2.0)]


@pytest.mark.parametrize("kind", ["text", "NaN", "a huge number"])
async def test_progress_of_no_number_is_the_authors_error(unruly: Gateway, kind: str) -> None:
    request_id = unruly.execute("/sync", {"what": f"say progress of {kind}"})
    outcome = (await unruly.finished(request_id)).outcome
    assert outcome.error is not None and "progress()" in outcome.error, outcome.error


async def test_a_long_message_of_progress_is_cut_and_counted(unruly: Gateway) -> None:
    request_id = unruly.execute("/sync", {"what": "say progress without end"})
    assert (await unruly.finished(request_id)).outcome.status == 200
    (entry,) = unruly.entries(request_id)
    assert not isinstance(entry, Log)
    message: Any = entry.message  # type: ignore[union-attr]
    assert len(message) < 20_000 and "characters cut" in message


async def test_headers_that_cannot_be_carried_are_left_out_and_said(unruly: Gateway) -> None:
    request_id = unruly.execute("/sync", {"what": "raise headers that cut"})
    outcome = (await unruly.finished(request_id)).outcome
    assert outcome.headers == {"content-type": "application/json", "x-b": "good"}
    told = [message for level, message in unruly.logs(request_id) if level == "WARN"]
    assert len(told) == 3 and any("set-cookie" not in line and "'x-a'" in line for line in told)


SABOTAGE = """
import asyncio
import pondage
from pondage.runner import execute, outcomes
from pondage.runner.journal import Notebook


class Saboteur(pondage.App, name="acme/saboteur", max_multiplexing=8):
    @pondage.endpoint("/failed")
    def failed(self) -> None:
        outcomes.failed = None
        raise ValueError("mine")

    @pondage.endpoint("/ok")
    async def ok(self) -> str:
        outcomes.ok = outcomes.failed = None
        return "x"

    @pondage.endpoint("/fit")
    def fit(self) -> str:
        outcomes.fit = None
        return "x"

    @pondage.endpoint("/close")
    async def close(self) -> str:
        Notebook.close = None
        return "x"

    @pondage.endpoint("/begin")
    async def begin(self) -> str:
        execute.Notebook = None
        return "x"

    @pondage.endpoint("/good")
    async def good(self) -> str:
        return "good"
"""


@pytest.mark.parametrize(
    ("path", "status", "after", "then"),
    [
        ("/failed", 500, "/good", 200),
        ("/ok", 500, "/good", 500),
        ("/fit", 500, "/good", 500),
        ("/close", 200, "/good", 200),
        ("/begin", 200, "/good", 500),
    ],
)
async def test_a_failure_of_our_own_code_ends_the_attempt_and_says_so(
    gateway: Gateway, tmp_path: Path, path: str, status: int, after: str, then: int
) -> None:
    app = tmp_path / "saboteur.py"
    app.write_text(SABOTAGE)
    async with running(gateway, f"{app}:Saboteur", "acme/saboteur"):
        await gateway.ready()
        for call, expected in ((path, status), (after, then)):
            request_id = gateway.execute(call)
            outcome = (await gateway.finished(request_id)).outcome
            assert outcome.status == expected, (call, outcome)
            if expected == 500:
                assert "the runner itself failed on this request: TypeError" in (outcome.error or "")
                await gateway.until(lambda: any("Traceback" in line for line in told(gateway, request_id)))  # noqa: B023


def told(gateway: Gateway, request_id: str) -> list[str]:
    """What is in the log of the request, or in the runner's own."""
    own = [entry.message for frame in gateway.all(RunnerLog) for entry in frame.entries if isinstance(entry, Log)]
    return [message for _, message in gateway.logs(request_id)] + own
