"""What we reach into of uvicorn and websockets, by name: a version that lacks it fails here, and not under load.

pyproject.toml has upper bounds on both; raise one only with this test and the stories of connections.
"""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import httpx2
import pytest
from websockets.sync.client import connect

from pondage.gateway.connections import borrowed
from pondage.testing import serve

FOLDER = Path(borrowed.__file__).parent
BASIC = str(Path(__file__).parents[3] / "apps" / "basic.py")


@pytest.mark.anyio
async def test_the_installed_versions_have_all_of_it() -> None:
    assert borrowed.missing() == []


def test_each_name_is_one_that_we_use() -> None:
    code = "\n".join(path.read_text("utf-8") for path in FOLDER.glob("*.py") if path.name != "borrowed.py")
    used = set(re.findall(r"\w+", code))
    named = " ".join([borrowed.CONNECTION, borrowed.FLOW, borrowed.CYCLE, borrowed.PARSER, borrowed.SOCKET])
    assert not set(named.split()) - used - {
        # What the methods of the libraries that ours extend go by themselves.
        "client", "config", "connections", "server_state", "tasks", "resume_reading", "pause_reading", "on_response",
        "feed_data", "should_upgrade", "handshake_complete", "ping_timer", "stop_keepalive", "resume_writing",
    }  # fmt: skip


@pytest.mark.anyio
async def test_what_is_lacking_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(borrowed, "FLOW", f"{borrowed.FLOW} of_tomorrow")
    monkeypatch.setattr(borrowed, "CYCLE", f"{borrowed.CYCLE} renamed")
    monkeypatch.setattr(borrowed, "SOCKET", f"{borrowed.SOCKET} moved")
    assert borrowed.missing() == [
        "FlowControl.of_tomorrow", "RequestResponseCycle.renamed", "WebSocketsSansIOProtocol.moved",
    ]  # fmt: skip
    monkeypatch.setattr(borrowed, "_of_http", lambda: 1 / 0)
    assert borrowed.missing() == ["ZeroDivisionError: division by zero"]


def test_a_version_that_lacks_some_of_it_serves_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(borrowed, "missing", lambda: ["HttpToolsProtocol.flow"])
    with caplog.at_level(logging.WARNING, "pondage.gateway"), serve(BASIC) as served:
        assert "lacks what our connections are made of (HttpToolsProtocol.flow)" in caplog.text
        with httpx2.Client(base_url=served.url, timeout=30) as http:
            assert http.post("/acme/echo", json={"x": 1}).json() == {"y": 2}
            stored = http.post("/files/upload", content=b"a" * 300_000).json()["access_url"]
            assert http.get(stored).content == b"a" * 300_000
        at = served.url.replace("http", "ws") + "/acme/echo/realtime"
        with connect(at, compression=None) as socket:
            for start in range(0, 60, 5):
                for n in range(start, start + 5):
                    socket.send(json.dumps({"x": n}))
                answers = [json.loads(socket.recv(timeout=10)) for _ in range(5)]
                assert answers == [{"y": n + 1} for n in range(start, start + 5)]
            socket.send("{bad")
            assert json.loads(socket.recv(timeout=10))["type"] == "x-fal-error"
        # The slot is free again: the next session gets it.
        with connect(at, compression=None) as socket:
            socket.send(json.dumps({"x": 1}))
            assert json.loads(socket.recv(timeout=10)) == {"y": 2}
