"""The compatibility page is what the tests say, and says what is to be said."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "compatibility.md"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """`scripts/compatibility.py`, which is no package."""
    spec = importlib.util.spec_from_file_location("compatibility", ROOT / "scripts" / "compatibility.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_as_the_tests_say() -> None:
    ran = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "compatibility.py"), "--check"], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr


def test_what_no_test_shows_is_said(script: ModuleType) -> None:
    facts = tomllib.loads(script.FACTS.read_text("utf-8")) | {"also": {}}
    nothing = script.page(script.Collector(), facts)
    assert "| submit.request_id |  | *not shown by a test* |" in nothing
    assert "| `queue.submit` | *not shown by a test* |" in nothing
    found = script.Collector()
    shown = script.Shown("tests/x.py", "test_x", "swift", "queue.submit(webhookUrl:)")
    found.calls[shown] = None
    found.facts = {"submit.request_id": {shown: None}, "a fact of its own": {shown: None}}
    page = script.page(found, facts)
    assert "| submit.request_id | swift | [test_x](../tests/x.py) |" in page
    assert "| a fact of its own | swift | [test_x](../tests/x.py) |" in page.partition("## Further")[2]
    assert "| `queue.submit` | [test_x](../tests/x.py) |" in page and "| `submit` | [test_x]" not in page


def test_a_test_that_there_is_not_shows_nothing(script: ModuleType) -> None:
    facts = tomllib.loads(script.FACTS.read_text("utf-8"))
    with pytest.raises(SystemExit, match="tests that there are not"):
        script.page(script.Collector(), facts)
    stranger = script.Collector()
    stranger.calls[script.Shown("tests/x.py", "test_x", "cobol", "run")] = None
    with pytest.raises(SystemExit, match="cobol"):
        script.page(stranger, facts)


def test_every_fact_is_listed_once() -> None:
    facts = tomllib.loads((ROOT / "scripts" / "compatibility_facts.toml").read_text("utf-8"))
    listed = [fact for section in facts["section"] for fact in section["facts"]]
    assert sorted({fact for fact in listed if listed.count(fact) > 1}) == []
    text = PAGE.read_text("utf-8")
    assert all(f"| {fact} |" in text for fact in listed)
    assert all(entry["why"] and entry["what"] in text for entry in facts["missing"])


def test_the_page_says_that_we_are_independent() -> None:
    text = " ".join(PAGE.read_text("utf-8").split())
    assert "Pondage is independent of fal" in text and "neither made nor endorsed" in text
