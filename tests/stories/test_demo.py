"""`make demo`, after set-up: a real model reads a real page, and everything is seen on the way."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]


def test_the_demo_ends_by_itself_with_the_text_and_the_picture(tmp_path: Path) -> None:
    demo = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "ocr" / "demo.py")], cwd=tmp_path, capture_output=True, text=True
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "queued, 0 ahead" in demo.stdout
    assert "│ found 7 lines of text" in demo.stdout
    assert re.search(r"▰▱+ +\d+%", demo.stdout)
    assert "the markers are found at the two extreme parts of the\nhistogram of grey values:" in demo.stdout
    with Image.open(tmp_path / "demo-out" / "page-annotated.png") as picture:
        assert picture.size == (384, 191)
    assert str(tmp_path / "demo-out" / "page-annotated.png") in demo.stdout


def test_how_to_call_names_the_port() -> None:
    said = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "ocr" / "how_to_call.py"), "8123"], capture_output=True, text=True
    )
    for word in ("Python", "curl", "JavaScript", "Swift", "http://127.0.0.1:8123/local/ocr"):
        assert word in said.stdout
