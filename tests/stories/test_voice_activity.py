"""The voice example: a recording through the queue, the same sound live, and its page in a real browser."""

from __future__ import annotations

import asyncio
import functools
import http.server
import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pondage.client import HTTPError, SyncClient
from pondage.testing import ServedApp, serve

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "voice_activity"
SPEECH = ROOT / "examples" / "samples" / "speech.wav"

for module in ("onnxruntime", "silero_vad"):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed (make .venv/.voice)", allow_module_level=True)


@pytest.fixture(scope="module")
def voice() -> Iterator[ServedApp]:
    with serve(str(EXAMPLE / "app.py")) as served:
        yield served


def check(stretches: list[dict[str, Any]]) -> None:
    """The two sentences of the sample."""
    assert len(stretches) == 2
    (first, second) = stretches
    assert 0.5 < first["start"] < 1.0 and 3.0 < first["end"] < 4.0
    assert 4.5 < second["start"] < 5.2 and 7.0 < second["end"] < 8.0


def test_a_recording(voice: ServedApp, tmp_path: Path) -> None:
    with SyncClient(base_url=voice.url) as client:
        output = client.run("local/voice-activity", {"audio": client.upload_file(SPEECH)})
        assert 8 < output["seconds"] < 10
        check(output["stretches"])
        with pytest.raises(HTTPError, match="no audio that can be read"):
            client.run("local/voice-activity", {"audio": "data:audio/wav;base64,AAAA"})


def test_a_live_sound(voice: ServedApp, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    demo = importlib.import_module("demo")
    monkeypatch.delitem(sys.modules, "demo")
    check(asyncio.run(demo.stream_file(voice.url, SPEECH, pace=0)))
    assert "somebody spoke from 0." in capsys.readouterr().out


def test_the_demo(tmp_path: Path) -> None:
    # What the app does not get of the server's environment is said, and AWS_CA_BUNDLE is set on some machines.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    run = subprocess.run(
        [sys.executable, str(EXAMPLE / "demo.py"), "--fast"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("somebody spoke from") == 2
    assert run.stderr == ""


def test_the_page_in_a_browser(voice: ServedApp) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium")
    from playwright.sync_api import sync_playwright

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(EXAMPLE / "page"))
    flags = [
        "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={SPEECH}%noloop",
    ]  # fmt: skip
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as pages, sync_playwright() as playwright:
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=flags)
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{pages.server_address[1]}/?server={voice.url}&token=any")
        page.get_by_role("button", name="Listen").click()
        page.locator("#state.speech").wait_for(timeout=30_000)
        page.locator("#stretches li").first.wait_for(timeout=30_000)
        assert " s to " in page.locator("#stretches li").first.inner_text()
        browser.close()
        pages.shutdown()
