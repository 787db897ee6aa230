"""Rows are bound by place, so their fields must be their statements' columns, and in their order."""

from __future__ import annotations

import re
from pathlib import Path

import apsw
import msgspec
import pytest

from pondage.database import migrations
from pondage.queue.sqlite.order import STEP, TAG_BITS
from pondage.queue.sqlite.rows import SQL, ColdRow, HotRow
from pondage.queue.stored import StoredView


@pytest.mark.parametrize(("row", "statement"), [(HotRow, "insert"), (ColdRow, "insert_finished")])
def test_fields_are_the_columns_of_the_statement(row: type[msgspec.Struct], statement: str) -> None:
    names = re.search(r"\(([^)]*)\)\s*VALUES \(([^)]*)\)", SQL[statement])
    assert names is not None
    columns = [
        name.strip().replace("bytes", "size") if name.strip() == "bytes" else name.strip()
        for name in names[1].split(",")
    ]
    assert list(row.__struct_fields__) == columns
    assert names[2].count("?") == len(columns)


@pytest.mark.parametrize("statement", ["view_hot", "view_cold"])
def test_a_view_has_a_field_for_each_column(statement: str) -> None:
    listed = re.sub(r"\s+", " ", SQL[statement]).removeprefix("SELECT ").partition(" FROM ")[0].split(", ")
    assert len(listed) == len(StoredView._fields)
    same = {"seq", "id", "app", "path", "caller", "attempt", "strikes", "last_n", "submitted_at", "runner", "head"}
    assert same <= {name for name, field in zip(listed, StoredView._fields, strict=True) if name == field}


def test_ranks_of_before_keep_their_order_and_their_distance(tmp_path: Path) -> None:
    known = migrations.ours()
    before = [migration for migration in known if migration.number < 6]
    connection = apsw.Connection(str(tmp_path / "pondage.db"))
    migrations.migrate(connection, before)
    columns = (
        "seq, id, app, path, caller, state, rank, attempt, strikes, alone, last_n, submitted_at, runner, keep_io, "
        "input_bytes, head"
    )
    ranks = [0, 1, 7, 1 << TAG_BITS, (1 << TAG_BITS) + 3]
    for seq, rank in enumerate(ranks):
        values = (seq, f"r{seq}", "a/b", "/", "", 0, rank, 0, 0, 0, 1, 0.0, "", 1, 0, b"")
        connection.execute(f"INSERT INTO requests ({columns}) VALUES ({', '.join('?' * len(values))})", values)
    migrations.migrate(connection, known)
    stored = [rank for (rank,) in connection.execute("SELECT rank FROM requests ORDER BY seq")]
    assert stored == [0, STEP, 7 * STEP, 1 << TAG_BITS, (1 << TAG_BITS) + 3 * STEP]
    assert connection.execute("SELECT DISTINCT holder FROM requests").fetchall() == [(0,)]
    connection.close()
