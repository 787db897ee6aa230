"""`pondage apps pause`, `pondage queue`, `pondage operations`, and `pondage requests …` on all that match."""

from __future__ import annotations

from pathlib import Path

import httpx2

from pondage.cli import exits
from pondage.testing import ServedApp, serve

from .conftest import APP, Pondage


def test_an_app_is_paused_and_goes_on(at: Pondage) -> None:
    assert "nothing more of it is started" in at("apps", "pause", "acme/echo", "--reason", "lunch").out
    assert "paused: lunch" in at("apps").err
    request_id = at("call", "acme/echo", "x:=1", "--no-wait").out.strip()
    line = at("queue", "acme/echo")
    assert "is paused: lunch" in line.out and "(no key)" in line.out
    assert at("requests", "front", request_id[-8:]).code == exits.OK
    assert at("apps", "resume", "acme/echo").code == exits.OK
    assert at("requests", "show", request_id[-8:], "--follow").json == {"y": 2}
    assert at("apps", "pause").code == exits.BAD_INPUT


def test_all_that_match_are_cancelled_in_one_operation(at: Pondage) -> None:
    at("apps", "pause", "acme/echo")
    for n in range(3):
        at("call", "acme/echo", f"x:={n}", "--no-wait")
    assert at("requests", "cancel", "--app", "acme/echo", "--dry-run").out == "3 requests match\n"
    said = at("requests", "cancel", "--app", "acme/echo", "--since", "1h", "--name", "oops")
    assert "cancel done: 3 of 3" in said.out and "pondage operations undo" in said.err
    listed = at("operations").out
    assert "oops" in listed and "app=acme/echo" in listed
    operation_id = at("operations", "--json").json["items"][0]["id"]
    assert "cancel done" in at("operations", "show", operation_id[-8:]).out
    undone = at("operations", "undo", operation_id[-8:])
    assert (undone.code, "is done" in undone.err) == (exits.BAD_INPUT, True)
    at("apps", "resume", "acme/echo")


def test_what_failed_is_run_again(at: Pondage, echo: ServedApp) -> None:
    at("call", "acme/echo/fail", "message=no")
    said = at("requests", "retry", "--failed", "--since", "1h", "--json")
    assert said.json["kind"] == "retry" and said.json["matched"] >= 1
    assert at("requests", "retry", "--failed", "--dry-run", "--path", "/none").out == "0 requests match\n"


def test_everything_needs_a_word_and_a_number(at: Pondage) -> None:
    bare = at("requests", "cancel")
    assert bare.code == exits.BAD_INPUT and "which requests?" in bare.err
    everything = at("requests", "cancel", "--all")
    assert everything.code == exits.FAILED and '"count"' in everything.err


def test_an_app_is_forgotten(pondage: Pondage, tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    with serve(str(APP), data=data):
        pass
    single = APP.parent / "single.py"
    with serve(str(single), data=data) as served:
        flag = f"--server={served.url}"
        assert "acme/echo" in pondage("apps", flag).out
        waiting = httpx2.post(f"{served.url}/queue/acme/echo", json={"x": 1}).json()["request_id"]
        said = pondage("apps", "forget", "acme/echo", flag)
        assert said.code == exits.FAILED and "requests of acme/echo wait" in said.err
        assert pondage("requests", "cancel", waiting, flag).code == exits.OK
        assert pondage("apps", "forget", "acme/echo", flag).code == exits.OK
        assert "acme/echo" not in pondage("apps", flag).out
        assert httpx2.post(f"{served.url}/queue/acme/echo", json={"x": 1}).status_code == 404
        assert pondage("requests", "show", waiting, flag).err, "its history stays"
        assert "is served by this server" in pondage("apps", "forget", "acme/single", flag).err
        assert pondage("apps", "forget", "acme/echo", flag).code == exits.BAD_INPUT
    with serve(str(single), data=data) as served:
        assert "acme/echo" not in pondage("apps", f"--server={served.url}").out
