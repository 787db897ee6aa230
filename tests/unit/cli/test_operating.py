"""`pondage apps pause`, `pondage queue`, `pondage operations`, and `pondage requests …` on all that match."""

from __future__ import annotations

from pondage.cli import exits
from pondage.testing import ServedApp

from .conftest import Pondage


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
