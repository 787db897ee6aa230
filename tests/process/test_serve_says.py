"""What `pondage serve` says in a terminal about who may call, and what it does not say."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

APP = str(Path(__file__).parents[1] / "apps" / "single.py")


@contextmanager
def serving(*flags: str, until: str) -> Iterator[list[str]]:
    """`pondage serve`, once it has said `until`; and what it had said by then."""
    arguments = [sys.executable, "-m", "pondage.cli", "serve", APP, "--port", "0", *flags]
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | {"NO_COLOR": "1"}
    )
    assert process.stdout is not None
    said: list[str] = []
    try:
        for line in process.stdout:
            said.append(line.rstrip())
            if until in line:
                break
        else:
            pytest.fail("it ended: " + "\n".join(said))
        yield said
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def test_the_first_key_is_shown_once_also_where_little_is_said(tmp_path: Path) -> None:
    flags = ("--data", str(tmp_path / "data"), "--domain", "ai.example.test")
    with serving("--quiet", *flags, until="PONDAGE_KEY=") as said:
        (why,) = [line for line in said if "  Auth " in line]
        assert "--domain ai.example.test" in why and "shown only now" in why
        key = said[-1].strip().removeprefix("export PONDAGE_KEY=")
        url = json.loads((tmp_path / "data" / "gateway.json").read_bytes())["url"]
        assert httpx2.get(f"{url}/api/v1/apps").status_code == 401
        assert httpx2.get(f"{url}/api/v1/apps", headers={"authorization": f"Key {key}"}).status_code == 200
    with serving(*flags, until="  Env ") as said:
        assert key not in "\n".join(said) and any("every call needs a key" in line for line in said)


def test_the_first_key_as_json(tmp_path: Path) -> None:
    with serving("--json", "--data", str(tmp_path / "data"), "--cors", "*", until='"event":"key"') as said:
        made = json.loads(said[-1])
        assert made["scopes"] == ["admin"] and "--cors *" in made["why"] and ":" in made["key"]


def test_an_open_server_says_so_and_how_to_shut_it(tmp_path: Path) -> None:
    with serving("--data", str(tmp_path / "data"), until="  Env ") as said:
        text = "\n".join(said)
        assert "off: any program on this machine can call" in text
        assert f"pondage keys create NAME --scopes admin --data {tmp_path / 'data'}" in text
        assert "this machine's own addresses, until a key exists" in text


def pasted(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command that `serve` printed, as somebody runs it in another folder."""
    words = shlex.split(line[line.index("pondage ") :])
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PONDAGE_")}
    return subprocess.run(
        [sys.executable, "-m", "pondage.cli", *words[1:]],
        capture_output=True, text=True, timeout=120, check=False, cwd=folder, env=environ,
    )  # fmt: skip


def test_its_hints_work_when_pasted(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with serving("--data", str(tmp_path / "data"), until="call it: ") as said:
        ended = pasted(said[-1], elsewhere)
        assert ended.returncode == 0, ended.stderr
        (env,) = [line for line in said if "pondage env" in line]
        url = json.loads((tmp_path / "data" / "gateway.json").read_bytes())["url"]
        assert url in pasted(env, elsewhere).stdout


def test_other_machines_are_told_an_address_that_is_theirs(tmp_path: Path) -> None:
    with serving("--data", str(tmp_path / "data"), "--host", "0.0.0.0", until="  Auth ") as said:
        (line,) = [line for line in said if "  LAN " in line]
        url = line.split()[1]
        assert "127.0.0.1" not in url and "0.0.0.0" not in url and f"--server {url}" in line
        assert httpx2.get(f"{url}/healthz").status_code == 200


def test_a_buckets_secret_is_said_nowhere(tmp_path: Path) -> None:
    url = "s3://bucket/p?access_key_id=AKIAHIDDEN&secret_access_key=S3CR3T&region=eu-west-1&endpoint=http://127.0.0.1:9"
    for flags in (["-v"], ["--json"], []):
        said = subprocess.run(
            [sys.executable, "-m", "pondage.cli", "serve", APP, "--data", str(tmp_path / "d"), "--files", url, *flags],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert said.returncode != 0 and "s3://bucket/p" in said.stdout + said.stderr
        assert "S3CR3T" not in said.stdout + said.stderr and "AKIAHIDDEN" not in said.stdout + said.stderr
