"""What `pondage serve` writes to its own streams, whatever the apps print; and the last words of a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pondage.testing import GatewayProcess

APP = r"""
import ctypes
import os
import subprocess
import sys
import warnings

import pondage

os.write(1, b"at import: out\n")
os.write(2, b"at import: err\n")
print("printed at import")
warnings.warn("warned at import")


class Loud(pondage.App, name="acme/loud", max_strikes=1):
    def setup(self) -> None:
        subprocess.run("echo setup; echo setup >&2", shell=True, check=True)
        sys.__stdout__.write("beneath\n")

    @pondage.endpoint("/")
    def run(self) -> str:
        ctypes.CDLL(None).puts(b"from C")
        subprocess.run("echo child; echo child >&2", shell=True, check=True)
        return "ok"

    @pondage.endpoint("/abort")
    def abort(self) -> None:
        os.write(2, b"terminate called after throwing an instance of 'c10::Error'\n")
        os.abort()
"""

Start = Callable[..., GatewayProcess]


@pytest.mark.parametrize("flags", [["--json"], ["--log-json"], ["--log-json", "-v"]])
def test_streams_of_json_carry_json_alone(tmp_path: Path, flags: list[str]) -> None:
    (tmp_path / "loud.py").write_text(APP)
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("wb") as to_out, err.open("wb") as to_err:
        process = subprocess.Popen(
            [sys.executable, "-m", "pondage.cli", "serve", "loud.py", "--port", "0", *flags],
            cwd=tmp_path, stdout=to_out, stderr=to_err, stdin=subprocess.DEVNULL, start_new_session=True,
            env={name: value for name, value in os.environ.items() if not name.startswith("PONDAGE_")},
        )  # fmt: skip
    try:
        note, end = tmp_path / "pondage-data" / "gateway.json", time.monotonic() + 30
        while not note.exists():
            assert time.monotonic() < end and process.poll() is None, err.read_text()
            time.sleep(0.02)
        with httpx2.Client(base_url=json.loads(note.read_text())["url"], timeout=30) as http:
            assert http.post("/acme/loud", json={}).json() == "ok"
            http.post("/acme/loud/abort", json={})
            http.get("/no/such%ff")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    entries = [json.loads(line) for line in err.read_text().splitlines()]
    assert all({"time", "level", "logger", "message"} <= entry.keys() for entry in entries)
    if "--json" in flags:
        events = [json.loads(line)["event"] for line in out.read_text().splitlines()]
        assert events[0] == "listening" and events[-1] == "stopped" and "finished" in events
    else:
        assert out.read_text() == ""
        calls = [entry for entry in entries if entry["logger"] == "pondage.access"]
        assert [(call["method"], call["path"], call["status"]) for call in calls] == [
            ("POST", "/acme/loud", 200), ("POST", "/acme/loud/abort", 500), ("GET", "/no/such\ufffd", 404),
        ]  # fmt: skip
        assert all(call["duration"] > 0 and call["key"] == "" and call["request_id"] is not None for call in calls)
        said = [entry["message"] for entry in entries if entry["logger"] == "pondage.serve"]
        assert any(line.startswith("Pondage ") for line in said) and said[-1] == "stopped."


def test_an_error_at_the_start_is_json_too(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "pondage.cli", "serve", "not_there.py", "--port", "0", "--log-json", "-v"],
        cwd=tmp_path, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 2 and ended.stdout == b""
    entries = [json.loads(line) for line in ended.stderr.splitlines()]
    assert any("there is no file not_there.py" in entry["message"] for entry in entries)


def test_the_last_words_of_c_code_are_the_requests(gateway: Start, tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text(APP)
    process = gateway(str(tmp_path / "loud.py"))
    process.start()
    with httpx2.Client(base_url=process.url, timeout=60) as http:
        request_id = http.post("/queue/acme/loud/abort", json={}).json()["request_id"]
        at = f"/queue/acme/loud/requests/{request_id}"
        assert http.get(at, headers={"prefer": "wait=40"}).status_code == 500
        logs: list[dict[str, Any]] = http.get(f"{at}/status?logs=1").json()["logs"]
        assert "terminate called after throwing an instance of 'c10::Error'" in [entry["message"] for entry in logs]
