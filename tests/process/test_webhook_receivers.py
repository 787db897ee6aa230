"""The example receivers, as real processes: each takes what is signed, once, and refuses what is not."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pondage.wire import signing

EXAMPLES = Path(__file__).parents[2] / "examples" / "webhook_receivers"
PACKAGES = Path(__file__).parents[1] / "contracts" / "official" / "js" / "node_modules"
PRIVATE = Ed25519PrivateKey.generate()
SECRET = b"a secret of the tests, 32 bytes."


class Running(NamedTuple):
    process: subprocess.Popen[str]
    url: str
    lines: list[str]


@pytest.fixture(scope="module")
def jwks_url() -> Iterator[str]:
    document = json.dumps({"keys": [signing.jwk(PRIVATE.public_key().public_bytes_raw(), "k")]}).encode()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/.well-known/jwks.json"
        server.shutdown()
        thread.join()


def command(name: str, folder: Path) -> list[str]:
    """How the example says that it is started, on any free port."""
    if name == "fastapi_app.py":
        pytest.importorskip("fastapi")
        return [sys.executable, "-m", "uvicorn", "fastapi_app:app", "--port", "0"]
    if name == "flask_app.py":
        pytest.importorskip("flask")
        return [sys.executable, "-m", "flask", "--app", "flask_app", "run", "--port", "0"]
    node = shutil.which("node")
    if node is None or not (PACKAGES / "express").exists():
        pytest.skip("needs Node and its packages: scripts/official_clients.py says why they are not there")
    # A module finds its packages beside itself.
    folder.joinpath("node_modules").symlink_to(PACKAGES)
    return [node, str(shutil.copy(EXAMPLES / name, folder))]


@pytest.fixture(params=["fastapi_app.py", "flask_app.py", "express_app.mjs"])
def receiver(request: pytest.FixtureRequest, jwks_url: str, tmp_path: Path) -> Iterator[Running]:
    environ = {
        **os.environ,
        "PORT": "0",
        "PONDAGE_WEBHOOK_SECRET": signing.secret_text(SECRET),
        "PONDAGE_JWKS_URL": jwks_url,
        "PYTHONUNBUFFERED": "1",
    }
    process = subprocess.Popen(
        command(request.param, tmp_path),
        cwd=EXAMPLES,
        env=environ,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        port = ""
        for line in process.stdout:
            lines.append(line)
            if found := re.search(r"(?:127\.0\.0\.1:|listening on )(\d+)", line):
                port = found[1]
                break
        assert port, lines
        running = Running(process, f"http://127.0.0.1:{port}/hook", lines)
        reading = threading.Thread(target=lines.extend, args=(process.stdout,))
        reading.start()
        yield running
    finally:
        process.terminate()
        process.wait(10)
    reading.join()


def deliver(running: Running, body: bytes, headers: dict[str, str]) -> int:
    request = urllib.request.Request(running.url, body, {"content-type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def signed(body: bytes, at: int) -> dict[str, str]:
    return {
        **signing.fal_headers("r-1", "local", at, body, PRIVATE.sign),
        **signing.standard_headers("d-1", at, body, [SECRET]),
    }


def test_a_receiver_believes_what_is_signed_and_nothing_else(receiver: Running) -> None:
    body = json.dumps({"request_id": "r-1", "status": "OK", "payload": {"n": 7}}).encode()
    now = int(time.time())
    assert deliver(receiver, body, signed(body, now)) == 204
    assert deliver(receiver, body, signed(body, now)) == 204
    assert deliver(receiver, body.replace(b"7", b"8"), signed(body, now)) == 401
    assert deliver(receiver, body, signed(body, now - 1000)) == 401
    assert deliver(receiver, body, {}) == 401
    receiver.process.terminate()
    receiver.process.wait(10)
    deadline = time.monotonic() + 10
    while not (told := [line for line in receiver.lines if line.startswith("r-1")]) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(told) == 1 and "7" in told[0]
