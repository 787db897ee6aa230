"""A store of texts that all runners of a machine share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pondage.toolkit import kv
from pondage.toolkit.exceptions import FalTookitException, KVStoreException


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(kv, "FAL_PERSISTENT_DIR", tmp_path)
    return tmp_path


def test_a_text_is_kept_until_it_is_deleted() -> None:
    store, other = kv.KVStore("a"), kv.KVStore("b")
    assert store.get("k") is None
    store.set("k", "é\x00")
    store.set("k", "two", ttl=60)
    other.set("k", "other")
    assert (kv.KVStore("a").get("k"), other.get("k")) == ("two", "other")
    store.delete("k")
    store.delete("k")
    assert (store.get("k"), other.get("k")) == (None, "other")


def test_a_text_goes_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(kv.time, "time", lambda: now[0])
    store = kv.KVStore("a")
    store.set("short", "s", ttl=60)
    store.set("long", "l")
    now[0] += 60
    assert (store.get("short"), store.get("long")) == (None, "l")
    now[0] += kv.LONGEST
    assert store.get("long") is None


def test_many_threads_write_at_once() -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: kv.KVStore("a").set(f"k{n}", str(n)), range(40)))
    assert [kv.KVStore("a").get(f"k{n}") for n in range(40)] == [str(n) for n in range(40)]


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\x00", "x" * 300])
def test_a_name_stays_in_its_folder(name: str) -> None:
    with pytest.raises(KVStoreException, match="is no name of a store"):
        kv.KVStore(name)


def test_what_cannot_be_kept_is_said(folder: Path) -> None:
    store: Any = kv.KVStore("a")
    for wrong in (
        {"value": b"x"},
        {"value": "x", "ttl": 59},
        {"value": "x", "ttl": kv.LONGEST + 1},
        {"value": "\ud800"},
    ):
        with pytest.raises(FalTookitException):
            store.set("k", **wrong)
    (folder / "kv").mkdir(exist_ok=True)
    (folder / "kv" / "broken.sqlite").write_text("no database" * 100)
    with pytest.raises(KVStoreException, match=r"broken\.sqlite"):
        kv.KVStore("broken").get("k")
