"""Every text of the Code tab is taken out of the page and run; what it prints is what the page would show."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from pondage.dashboard.snippets import snippets
from pondage.testing import ServedApp, serve

from .conftest import APPS, ROOT, Tab

JS = ROOT / "tests" / "contracts" / "official" / "js"
GIVEN = {"x": 20, "pad": 'it\'s "quoted", ünïcode $HOME `x` \\ end'}
LANGUAGES = ["python", "fal-python", "javascript", "curl", "command"]


@pytest.fixture(scope="module")
def keyed() -> Iterator[tuple[ServedApp, str]]:
    """A server that asks for keys, and one of them."""
    with serve(str(APPS / "basic.py")) as served:
        yield served, ":".join(served.call(served.server.keys.create("all", scopes=["submit", "read", "files"])))


def execute(language: str, code: str, folder: Path, key: str = "") -> str:
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PYTHONWARNINGS": ""}
    env.pop("PONDAGE_URL", None)
    if key:
        env["PONDAGE_KEY"] = key
    if language in {"python", "fal-python"}:
        command = [sys.executable, "-c", code]
    elif language == "javascript":
        node = shutil.which("node", path=env["PATH"])
        if node is None or not (JS / "node_modules" / "@fal-ai" / "client").is_dir():
            pytest.skip("fal's JavaScript client is not installed: make test sets it up")
        script = JS / f"snippet-{os.getpid()}.mjs"
        script.write_text(code)
        try:
            ran = subprocess.run([node, str(script)], env=env, capture_output=True, text=True, timeout=60)
        finally:
            script.unlink()
        assert ran.returncode == 0, ran.stderr
        return ran.stdout
    else:
        command = ["sh", "-c", code]
    ran = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def value(language: str, printed: str) -> Any:
    return ast.literal_eval(printed.strip()) if "python" in language else json.loads(printed)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_of_the_page_runs(echo: ServedApp, tab: Tab, tmp_path: Path, language: str) -> None:
    page = tab.goto(f"{echo.url}/ui/apps/acme/echo", "acme/echo")
    page.get_by_role("tab", name="JSON").click()
    page.get_by_label("Input as JSON").fill(json.dumps(GIVEN))
    page.get_by_role("tab", name="Code").click()
    title = {"python": "Python", "fal-python": "Python (fal_client)", "javascript": "JavaScript", "curl": "curl"}
    page.get_by_role("tab", name=title.get(language, "Command line"), exact=True).click()
    code = page.locator(".command pre").last
    expect(code).to_contain_text("ünïcode")
    assert value(language, execute(language, code.text_content() or "", tmp_path)) == {"y": 21}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_runs_with_a_key(keyed: tuple[ServedApp, str], tmp_path: Path, language: str) -> None:
    served, key = keyed
    made = {one.language: one for one in snippets(served.url, "acme/echo", GIVEN, "call", keyed=True)}
    assert key not in made[language].code
    assert value(language, execute(language, made[language].code, tmp_path, key)) == {"y": 21}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_stream_runs(echo: ServedApp, tmp_path: Path, language: str) -> None:
    made = {one.language: one for one in snippets(echo.url, "acme/echo/generate", {"count": 3}, "stream", keyed=False)}
    printed = execute(language, made[language].code, tmp_path)
    if language == "curl":
        lines = re.findall(r"^data: (.*)$", printed, re.MULTILINE)
        chunks = [json.loads(line) for line in lines]
    else:
        chunks = [value(language, line) for line in printed.splitlines() if line.strip()]
    assert [chunk["i"] for chunk in chunks] == [0, 1, 2]


def test_a_session_runs(echo: ServedApp, tmp_path: Path) -> None:
    (made,) = snippets(echo.url, "acme/echo/realtime", {"x": 4}, "session", keyed=False)
    assert ast.literal_eval(execute("python", made.code, tmp_path).strip())["y"] == 5


def test_swift_is_as_it_was() -> None:
    given = {"prompt": 'a "fox"', "size": {"width": 512}, "tags": [], "seed": None, "on": True, "more": {}, "x": 0.5}
    (swift,) = [
        one for one in snippets("https://h.example/p", "a/b", given, "call", keyed=False) if one.language == "swift"
    ]
    assert swift.code == (
        "import FalClient\n\n"
        'let fal = FalClient.withProxy("https://h.example/p/api/fal/proxy")\n'
        'let result = try await fal.subscribe(to: "a/b", input: ["prompt": "a \\"fox\\"", "size": ["width": 512], '
        '"tags": [], "seed": nil, "on": true, "more": [:], "x": 0.5])\n'
        "print(result)\n"
    )


def test_a_seed_that_javascript_would_round_is_said() -> None:
    made = {one.language: one for one in snippets("http://h", "a/b", {"seed": 2**64 - 1}, "call", keyed=False)}
    assert "2^53" in made["javascript"].note
    assert "18446744073709551615" in made["python"].code and "18446744073709551615" in made["curl"].code
