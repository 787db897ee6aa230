"""What is read after a run: files that the database names and that are gone, or have other bytes."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from pondage.files.blobs import Sums
from pondage.torture.evidence import wrong_files


@pytest.mark.parametrize(
    ("planted", "wrong"), [("nothing", False), ("gone", True), ("cut", True), ("changed", True), ("doomed", False)]
)
def test_stored_files_are_compared_with_the_database(tmp_path: Path, planted: str, wrong: bool) -> None:
    data = b"what was acknowledged"
    sums = Sums()
    sums.add(data)
    digest = sums.blob("").digest
    key = f"{digest}-0123456789abcdef"
    connection = apsw.Connection(str(tmp_path / "pondage.db"))
    connection.execute("CREATE TABLE blobs (key TEXT, digest TEXT, doomed_at REAL)")
    connection.execute("INSERT INTO blobs VALUES (?, ?, ?)", (key, digest, 1.0 if planted == "doomed" else None))
    connection.close()
    path = tmp_path / "files" / "blobs" / key[:2] / key
    path.parent.mkdir(parents=True)
    if planted not in ("gone", "doomed"):
        path.write_bytes({"cut": data[:-1], "changed": b"W" + data[1:]}.get(planted, data))
    assert wrong_files(tmp_path / "pondage.db", tmp_path / "files") == ([key] if wrong else [])
