"""What apps know of their server, and cannot do to each other."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from pondage.testing import GatewayProcess, serve
from pondage.wire import frames
from pondage.wire.packets import packets

APP = """
import os
import subprocess
import pondage

AT_IMPORT = dict(os.environ)


class {name}(pondage.App, name="acme/{alias}"{more}):
    @pondage.endpoint("/")
    def run(self) -> dict[str, str]:
        return AT_IMPORT

    @pondage.endpoint("/now")
    def now(self) -> dict[str, str]:
        return dict(line.partition("=")[::2] for line in subprocess.check_output(["env"], text=True).splitlines())

    @pondage.endpoint("/other")
    def other(self) -> str:
        return pondage.run("acme/other/caller", {{}})

    @pondage.endpoint("/caller")
    def caller(self) -> str:
        return pondage.current_request.caller
"""

Start = Callable[..., GatewayProcess]

SECRETS = {
    "FAL_KEY": "i:s", "AWS_SECRET_ACCESS_KEY": "a", "PONDAGE_KEY": "mine:all", "PONDAGE_URL": "http://cloud.test",
    "PONDAGE_MAX_WAIT": "9", "HF_TOKEN": "h",
}  # fmt: skip


def test_an_app_gets_the_servers_address_and_not_its_secrets(
    gateway: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "app.py").write_text(
        APP.format(name="Plain", alias="plain", more="")
        + APP.format(name="Given", alias="given", more=", pass_env=['AWS_*', 'FAL_KEY']")
        + APP.format(name="Strict", alias="strict", more=", env='named'")
    )
    process = gateway(str(tmp_path / "app.py"))
    process.start()
    with httpx2.Client(base_url=process.url, timeout=30) as http:
        seen = {app: http.post(f"/acme/{app}", json={}).json() for app in ("plain", "given", "strict")}
        lines = http.get("/api/v1/runners/logs", params={"app": "acme/plain"}).text
    assert {name for name in SECRETS if name in seen["plain"]} == {"HF_TOKEN", "PONDAGE_URL", "PONDAGE_KEY"}
    assert {name for name in SECRETS if name in seen["given"]} == {*SECRETS} - {"PONDAGE_MAX_WAIT"}
    assert {name for name in SECRETS if name in seen["strict"]} == {"PONDAGE_URL", "PONDAGE_KEY"}
    assert seen["strict"]["PATH"] == os.environ["PATH"]
    for environment in seen.values():
        assert environment["PONDAGE_URL"] == process.url
        assert environment["PONDAGE_KEY"].count(".") == 2, "a short-lived token"
        assert "PONDAGE_RUNNER_TOKEN" not in environment
    assert "AWS_SECRET_ACCESS_KEY, FAL_KEY" in lines
    assert "AWS_SECRET_ACCESS_KEY, FAL_KEY" in process.log.read_text(), "said once, where the operator looks"


def test_an_app_calls_others_as_itself_on_a_server_with_keys(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        APP.format(name="Plain", alias="plain", more="") + APP.format(name="Other", alias="other", more="")
    )
    with serve(str(tmp_path / "app.py"), token_max_age=6.0) as served:
        key = ":".join(served.call(served.server.keys.create("key", scopes=["admin"])))
        authorization = {"authorization": f"Key {key}"}
        with httpx2.Client(base_url=served.url, timeout=30, headers=authorization) as http:
            assert http.post("/acme/plain/other", json={}).json() == "app:acme/plain"
            token = http.post("/acme/plain/now", json={}).json()["PONDAGE_KEY"]
            as_the_app = {"authorization": f"Bearer {token}"}
            assert http.get("/api/v1/webhooks/secrets", headers=as_the_app).status_code == 403
            assert http.get("/metrics", headers=as_the_app).status_code == 403
            listed = http.get("/api/v1/requests", headers=as_the_app).json()["items"]
            assert [one["app"] for one in listed] == ["acme/other"], "its own requests, no others"
            # It is renewed before it ends.
            while http.post("/acme/plain/now", json={}).json()["PONDAGE_KEY"] == token:
                pass
            assert http.post("/acme/plain/other", json={}).json() == "app:acme/plain"
            while http.get("/api/v1/requests", headers=as_the_app).status_code != 401:
                pass


@pytest.mark.anyio
async def test_no_app_takes_the_place_of_anothers_runner(tmp_path: Path) -> None:
    """With all that a runner of one app knows: its token, the socket, and the ids of others."""
    (tmp_path / "app.py").write_text(
        APP.format(name="Plain", alias="plain", more="") + APP.format(name="Other", alias="other", more="")
    )

    def served_runners() -> None:
        with serve(str(tmp_path / "app.py"), data=str(tmp_path / "data")) as served:
            runners = {runner.app: runner for runner in served.on_loop(served.server.fleet.runners)}
            socket = (tmp_path / "data" / "runners" / "gateway").read_text().removeprefix("unix:")
            with open(f"/proc/{runners['acme/plain'].pid}/environ", "rb") as file:
                own = dict(line.partition(b"=")[::2] for line in file.read().split(b"\0"))
            token = own[b"PONDAGE_RUNNER_TOKEN"].decode()
            victim = runners["acme/other"]
            for app in ("acme/other", "acme/plain"):
                hello = frames.Hello(frames.VERSION, victim.id, app, victim.pid, token, [])
                assert asyncio.run(dialled(socket, hello)) == b"", "closed without a word"
            with httpx2.Client(base_url=served.url, timeout=30) as http:
                assert http.post("/acme/other/caller", json={}).status_code == 200
            assert victim.id in {runner.id for runner in served.on_loop(served.server.fleet.runners)}

    await asyncio.to_thread(served_runners)


async def dialled(socket: str, hello: frames.Frame) -> bytes:
    reader, writer = await asyncio.open_unix_connection(socket)
    for packet in packets([hello]):
        writer.writelines(packet.buffers)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


def test_the_list_of_a_file_is_made_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAL_KEY", "i:s")
    (tmp_path / "app.py").write_text(
        "import os, pondage\nassert 'FAL_KEY' not in os.environ\nN = 'acme/made'\n"
        "class A(pondage.App, name=N):\n    @pondage.endpoint('/')\n    def run(self) -> int:\n        return 1\n"
    )
    with serve(str(tmp_path / "app.py")) as served, httpx2.Client(base_url=served.url, timeout=30) as http:
        assert http.post("/acme/made", json={}).json() == 1
        assert json.loads(http.get("/readyz").text)["ready"] is True
