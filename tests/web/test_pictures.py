"""The README's pictures can be made from the pages as they are."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from PIL import Image

from .conftest import ROOT


def test_the_pictures_are_made_and_are_there(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("make_pictures", ROOT / "scripts" / "make_pictures.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.make(tmp_path)
    readme = (ROOT / "README.md").read_text("utf-8")
    for name in module.PICTURES:
        with Image.open(tmp_path / name) as made, Image.open(ROOT / "docs" / "pictures" / name) as kept:
            assert made.size == kept.size == (1280, 760)
            colours = made.convert("RGB").getcolors(1 << 24)
            assert colours is not None and len(colours) > 50, "a page, not an empty window"
        assert f"(docs/pictures/{name})" in readme
