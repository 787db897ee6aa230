"""The verbs, as a shell sees them: what is printed where, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pondage import durations
from pondage.cli import exits
from pondage.cli.keys import expiry
from pondage.testing import serve

from .conftest import APP, Pondage


def test_help_lists_the_verbs(pondage: Pondage) -> None:
    said = pondage("--help")
    assert said.code == exits.OK
    assert "  serve " in said.out and "  doctor " in said.out
    assert pondage("serve", "--help").code == exits.OK
    assert pondage("--version").out.startswith("pondage 0.")


def test_an_unknown_verb(pondage: Pondage) -> None:
    said = pondage("requets", "list")
    assert (said.code, said.out) == (exits.BAD_INPUT, "")
    assert "error[input.unknown_verb]" in said.err and "did you mean: pondage requests" in said.err


def test_call_prints_the_output_and_only_that(at: Pondage) -> None:
    said = at("call", "acme/echo", "x:=1")
    assert (said.code, said.json) == (exits.OK, {"y": 2})
    assert "ok" in said.err


def test_call_shows_logs_and_progress(at: Pondage) -> None:
    said = at("call", "acme/echo/slow", "seconds:=0.05", "steps:=2")
    assert said.code == exits.OK
    assert "│ step 0" in said.err and "2/2" in said.err


def test_call_json(at: Pondage) -> None:
    said = at("call", "acme/echo", '{"x": 1}', "--json")
    assert (said.json["output"], said.err) == ({"y": 2}, "")


def test_call_stream(at: Pondage) -> None:
    said = at("call", "acme/echo/stream", "--stream", "count:=2")
    assert [json.loads(line)["i"] for line in said.out.splitlines()] == [0, 1]


def test_a_stream_that_takes_too_long(at: Pondage) -> None:
    said = at("call", "acme/echo/stream", "--stream", "count:=100", "pause:=0.1", "--timeout", "0.5")
    assert said.code == exits.FAILED and "its request cancelled" in said.err
    assert at("call", "acme/echo/stream", "--stream", "--no-wait").code == exits.BAD_INPUT


def test_call_with_a_misfit(at: Pondage) -> None:
    said = at("call", "acme/echo", "x=word")
    assert (said.code, said.out) == (exits.FAILED, "")
    assert "error[int_parsing]" in said.err or "error[int_type]" in said.err
    assert "x: " in said.err


def test_call_of_an_app_that_fails(at: Pondage) -> None:
    said = at("call", "acme/echo/fail", "message=it broke")
    assert said.code == exits.FAILED
    assert "error[internal_server_error]" in said.err and "it broke" in said.err
    assert "pondage requests logs" in said.err


def test_call_of_nothing(at: Pondage) -> None:
    said = at("call", "acme/ecko", "x:=1")
    assert said.code == exits.BAD_INPUT
    assert "acme/echo" in said.err
    assert at("call", "noslash").code == exits.BAD_INPUT
    assert at("call", "acme/echo", "{").code == exits.BAD_INPUT


def test_call_that_is_left(at: Pondage) -> None:
    said = at("call", "acme/echo/slow", "seconds:=1", "steps:=50", "--timeout", "0.1")
    assert said.code == exits.STILL_RUNNING
    assert "the request goes on" in said.err


def test_a_time_limit_holds_where_the_request_is_silent(at: Pondage) -> None:
    said = at("call", "acme/echo/slow", "seconds:=1.5", "steps:=1", "--timeout", "0.2", "--json")
    assert said.code == exits.STILL_RUNNING
    assert said.json["left"] == "not done after 0.2 s"


def test_a_field_that_is_not_there(at: Pondage) -> None:
    said = at("call", "acme/echo/slow", "second:=1")
    assert (said.code, said.out) == (exits.BAD_INPUT, "")
    assert "error[input.unknown_field]" in said.err and 'Did you mean "seconds"?' in said.err
    assert "steps (integer)" in said.err
    assert at("call", "acme/echo", '{"x": 1, "more": 2}').code == exits.OK


def test_no_server(pondage: Pondage) -> None:
    said = pondage("apps", "--server", "http://127.0.0.1:9")
    assert (said.code, said.out) == (exits.NO_SERVER, "")
    assert "error[server.unreachable]" in said.err and "pondage serve" in said.err
    machine = pondage("apps", "--server", "http://127.0.0.1:9", "--json")
    assert machine.json["error"]["code"] == "server.unreachable"


def test_requests_from_list_to_retry(at: Pondage) -> None:
    request_id = at("call", "acme/echo/logs", "lines:=2", "--json").json["request_id"]
    tail = request_id[-8:]
    assert f"…{tail}" in at("requests", "list").out
    listed = at("requests", "list", "--app", "acme/echo", "--outcome", "ok", "--json").json
    assert request_id in [item["id"] for item in listed["items"]]
    shown = at("requests", "show", tail, "--events", "--logs")
    assert (shown.code, shown.json) == (exits.OK, {"lines": 2})
    assert "attempt 1" in shown.err and "completed" in shown.err and "│ line 0" in shown.err
    assert "line 1" in at("requests", "logs", f"…{tail}").out
    cancelled = at("requests", "cancel", tail)
    assert (cancelled.code, "ended already" in cancelled.out) == (exits.FAILED, True)
    again = at("requests", "retry", tail).out.strip()
    assert at("requests", "show", again, "--follow", "--json").json["retried_from"] == request_id


def test_the_log_of_runners(at: Pondage) -> None:
    said = at("runners", "logs", "acme/echo")
    assert said.code == exits.OK and "ready, process" in said.out
    runner = at("runners", "--json").json["items"][0]["id"]
    lines = at("runners", "logs", runner[-8:], "--json").out.splitlines()
    assert {json.loads(line)["runner"] for line in lines} == {runner}
    assert at("runners", "logs", "acme/nothing").code == exits.BAD_INPUT
    assert at("runners", "logs", "zzz").code == exits.BAD_INPUT


def test_a_request_that_is_not_there(at: Pondage) -> None:
    said = at("requests", "show", "ffffffffffff")
    assert said.code == exits.BAD_INPUT and "no request ends in" in said.err
    assert at("requests", "show", "not an id").code == exits.BAD_INPUT


def test_runners_apps_openapi(at: Pondage) -> None:
    assert "acme/echo" in at("runners").out
    assert at("runners", "list", "--json").json["items"][0]["app"] == "acme/echo"
    assert "/slow" in at("apps").out
    assert "/acme/echo" in at("openapi").json["paths"]


def test_doctor(at: Pondage) -> None:
    said = at("doctor", "--json")
    found = {finding["what"]: finding["verdict"] for finding in said.json["findings"]}
    assert (said.code, found["server"], found["app"], found["data"]) == (exits.OK, "ok", "ok", "ok")


def test_doctor_says_what_to_mend(pondage: Pondage, tmp_path: Path) -> None:
    (tmp_path / "pondage.toml").write_text("prot = 1\n")
    said = pondage("doctor")
    assert said.code == exits.FAILED
    assert "no setting 'prot'" in said.out
    (tmp_path / "pondage.toml").unlink()
    (tmp_path / "pondage-data").mkdir()
    (tmp_path / "pondage-data" / "pondage.db").write_bytes(b"not a database" * 1000)
    said = pondage("doctor", "--server", "http://127.0.0.1:9")
    assert said.code == exits.FAILED
    assert "pondage restore" in said.out and "nothing answers at http://127.0.0.1:9" in said.out


def test_explain(pondage: Pondage) -> None:
    assert "does not match" in pondage("explain", "input.invalid").out
    assert pondage("explain", "error[setup.data_in_use]").code == exits.OK
    said = pondage("explain", "input.invald")
    assert (said.code, "did you mean input.invalid" in said.err) == (exits.BAD_INPUT, True)


def test_env_names_this_server(pondage: Pondage) -> None:
    said = pondage("env", "--client", "swift", "--server", "https://gpu.example.org:8443/")
    assert 'FalClient.withProxy("https://gpu.example.org:8443/api/fal/proxy")' in said.out
    python = pondage("env", "--client", "py", "--server", "https://gpu.example.org:8443").out
    assert "export FAL_QUEUE_RUN_HOST=gpu.example.org:8443/queue" in python
    assert 'f"wss://{BASE}/"' in python
    assert set(pondage("env", "--json").json["clients"]) >= {"py", "js", "swift", "java", "kotlin", "dart"}


def test_keys_from_create_to_revoke(pondage: Pondage) -> None:
    made = pondage("keys", "create", "team a", "--scopes", "submit,read", "--expires", "30d")
    key_id, _, secret = made.out.strip().partition(":")
    assert made.code == exits.OK and len(secret) > 30
    listed = pondage("keys", "list")
    assert key_id in listed.out and secret not in listed.out and "good" in listed.out
    assert pondage("keys", "revoke", key_id).code == exits.OK
    assert pondage("keys", "revoke", key_id).code == exits.FAILED
    (record,) = pondage("keys", "list", "--json").json["items"]
    assert record["revoked_at"] is not None
    said = pondage("keys", "create", "x", "--scopes", "everything")
    assert (said.code, "no scope everything" in said.err) == (exits.BAD_INPUT, True)
    said = pondage("keys", "create", "x", "--scopes", "")
    assert (said.code, "opens nothing" in said.err) == (exits.BAD_INPUT, True)


def test_a_new_key_has_the_least_and_an_operators_is_named(pondage: Pondage) -> None:
    made = pondage("keys", "create", "team a")
    assert "It may: submit, read, files; of every app" in made.err
    assert "pondage keys create NAME --scopes admin" in made.err
    boss = pondage("keys", "create", "boss", "--scopes", "admin")
    assert "It may: admin; of every app" in boss.err and "NAME" not in boss.err
    listed = pondage("keys", "list", "--json").json["items"]
    assert [record["scopes"] for record in listed] == [["files", "read", "submit"], ["admin"]]


def test_a_key_is_for_apps_that_there_are(pondage: Pondage, tmp_path: Path) -> None:
    """Before the first start none is known, and any may come."""
    data = str(tmp_path / "data")
    early = pondage("keys", "create", "early", "--apps", "acme/ecko", "--data", data)
    assert early.code == exits.OK and "of acme/ecko" in early.err
    with serve(str(APP), data=data):
        for apps, why in (
            ("acme/ecko", "knows no app acme/ecko; it knows acme/echo"),
            ("acme/echo,acme/ecko", "knows no app acme/ecko"),
            ("echo", "owner/alias"),
            ("acme/echo/slow", "a key is for a whole app"),
            (" , ", "names no app"),
        ):
            said = pondage("keys", "create", "x", "--apps", apps, "--data", data)
            assert (said.code, said.out) == (exits.BAD_INPUT, "") and why in said.err, said.err
        assert pondage("keys", "create", "x", "--apps", "acme/echo", "--data", data, "--json").json["apps"] == [
            "acme/echo"
        ]
        forced = pondage("keys", "create", "x", "--apps", "acme/ecko", "--force", "--data", data)
        assert forced.code == exits.OK


def test_a_key_is_required_once_there_is_one(pondage: Pondage, tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    key = pondage("keys", "create", "me", "--data", data).out.strip()
    with serve(str(APP), data=data) as served:
        refused = pondage("apps", "--server", served.url)
        assert (refused.code, "error[auth.unauthorized]" in refused.err) == (exits.NOT_ALLOWED, True)
        assert pondage("call", "acme/echo", "x:=1", "--server", served.url, "--key", key).code == exits.OK


def test_expiry() -> None:
    assert expiry("12h", now=1000.0) == 1000.0 + 43_200
    assert expiry(None) is None
    for text in ("soon", "-1d", "2001-01-01"):
        with pytest.raises(Exception, match="--expires"):
            expiry(text)


def test_backup_and_restore(pondage: Pondage, tmp_path: Path) -> None:
    with serve(str(APP), data=str(tmp_path / "data")) as served:
        made = pondage("call", "acme/echo", "x:=1", "--server", served.url, "--json").json
        said = pondage("backup", "kept", "--data", "data", "--json")
        assert said.code == exits.OK, said.err
        assert pondage("backup", "kept", "--data", "data").code == exits.BAD_INPUT
    assert pondage("restore", "kept", "--data", "new").code == exits.OK
    with serve(str(APP), data=str(tmp_path / "new")) as served:
        shown = pondage("requests", "show", made["request_id"], "--server", served.url)
        assert shown.json == {"y": 2}


def test_serve_refuses_what_cannot_be(pondage: Pondage) -> None:
    for arguments, said in (
        (["nowhere.py"], "there is no file nowhere.py"),
        (["x.py", "--port", "many"], "port = 'many'"),
        (["x.py", "--set", "nonsense"], "--set takes NAME=VALUE"),
        (["x.py", "--set", "colour=red"], "no setting 'colour'"),
    ):
        answer = pondage("serve", "--data", "d", *arguments)
        assert (answer.code, answer.out) == (exits.BAD_INPUT, "")
        assert said in answer.err


@pytest.mark.parametrize(
    "verb",
    [
        ["requests", "list"], ["apps"], ["runners"], ["files", "list"], ["webhooks", "list"], ["keys", "list"],
        ["explain"], ["usage"],
    ],
)  # fmt: skip
def test_lists_have_one_shape(at: Pondage, verb: list[str]) -> None:
    page = at(*verb, "--json").json
    assert isinstance(page["items"], list) and page.keys() >= {"items", "next_cursor"}


def test_several_are_cancelled_at_once(at: Pondage) -> None:
    first, second, third = (at("call", "acme/echo/hang/async", "--no-wait").out.strip() for _ in range(3))
    said = at("requests", "cancel", first, second[-10:])
    assert said.code == exits.OK and [line[:9] for line in said.out.splitlines()] == [
        "…" + first[-8:],
        "…" + second[-8:],
    ]
    assert at("requests", "cancel", first, "--json").json["status"] == "ALREADY_COMPLETED"
    nothing = at("requests", "cancel", "--all", "--app", "acme/other", "--json").json
    assert (nothing["phase"], nothing["matched"]) == ("done", 0)
    assert at("requests", "cancel", "--all", "--app", "acme/echo", "--json").json["changed"] == 1
    assert at("requests", "cancel", third, "--json").json["status"] == "ALREADY_COMPLETED"


@pytest.mark.parametrize("words", [[], ["--all", "0123abcd"], ["--app", "acme/echo", "0123abcd"]])
def test_cancel_wants_to_know_which(at: Pondage, words: list[str]) -> None:
    said = at("requests", "cancel", *words)
    assert said.code == exits.BAD_INPUT and "which match" in said.err


def test_a_lost_runner_is_shown_as_itself(at: Pondage) -> None:
    said = at("call", "acme/echo/exit")
    assert said.code == exits.FAILED and "error[runner_disconnected]" in said.err
    assert "runner_disconnected" in at("requests", "show", said.err.split("logs ")[1][:8]).err


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1.5", 1.5), ("90s", 90), ("250ms", 0.25), ("15m", 900),
                                               ("12h", 43_200), ("7d", 604_800), ("2w", 1_209_600)])  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    assert durations.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "7 days", "nan", "inf", "1e999", "٣s", "-5s", "s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration; write seconds, or like 90s"):
        durations.seconds(text)


def test_flags_take_durations(at: Pondage) -> None:
    assert at("call", "acme/echo/hang/async", "--timeout", "200ms").code == exits.STILL_RUNNING
    said = at("call", "acme/echo/slow", "--start-timeout", "soon")
    assert said.code == exits.BAD_INPUT and "'soon' is no duration" in said.err
