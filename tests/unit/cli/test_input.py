"""What the words of `pondage call` mean."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from pondage.cli.call import read_input
from pondage.cli.failures import BadArguments


def test_fields() -> None:
    assert read_input(["prompt=a fox", "seed:=7", "size:={\"w\": 1}", "empty=", "flag:=true"]) == {
        "prompt": "a fox", "seed": 7, "size": {"w": 1}, "empty": "", "flag": True,
    }  # fmt: skip


def test_a_value_may_hold_signs() -> None:
    assert read_input(["prompt=a=b:=c", "url=https://x/?a=1"]) == {"prompt": "a=b:=c", "url": "https://x/?a=1"}


def test_one_document() -> None:
    assert read_input(['{"a": [1, null]}']) == {"a": [1, None]}
    assert read_input(["[1]"]) == [1]
    assert read_input([]) == {}


def test_files(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text('{"a": 1}')
    (tmp_path / "fox.png").write_bytes(b"png")
    assert read_input([f"@{tmp_path}/in.json"]) == {"a": 1}
    assert read_input([f"size:=@{tmp_path}/in.json", f"image=@{tmp_path}/fox.png"]) == {
        "size": {"a": 1}, "image": tmp_path / "fox.png",
    }  # fmt: skip


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"a": 2}')))
    assert read_input(["-"]) == {"a": 2}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{a: 1}"], "the input is not JSON"),
        (["a=1", "b"], "'b' is no field"),
        (["seed:=x"], "seed:= is not JSON"),
        (["@/nowhere.json"], "cannot read /nowhere.json"),
        (["image=@/nowhere.png"], "there is no file /nowhere.png"),
        (["=x"], "the input is not JSON"),
    ],
)
def test_what_does_not_fit(words: list[str], said: str) -> None:
    with pytest.raises(BadArguments, match=said.replace(".", r"\.")):
        read_input(words)
