"""The compatibility page is what the tests say, and says what is to be said."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "compatibility.md"


def test_the_page_is_as_the_tests_say() -> None:
    ran = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "compatibility.py"), "--check"], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr


def test_every_fact_is_listed_once() -> None:
    facts = tomllib.loads((ROOT / "scripts" / "compatibility_facts.toml").read_text("utf-8"))
    listed = [fact for section in facts["section"] for fact in section["facts"]]
    assert sorted({fact for fact in listed if listed.count(fact) > 1}) == []
    text = PAGE.read_text("utf-8")
    assert all(f"| {fact} |" in text for fact in listed)
    assert all(entry["why"] and entry["what"] in text for entry in facts["missing"])


def test_the_page_says_that_we_are_independent() -> None:
    text = " ".join(PAGE.read_text("utf-8").split())
    assert "Penstock is independent of fal" in text and "neither made nor endorsed" in text
