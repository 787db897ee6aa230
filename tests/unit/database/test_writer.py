"""The writer: groups, failures within a group, early results, lazy operations, a full disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import apsw
import pytest

from pondage.database.interface import Cursor
from pondage.database.sqlite import SqliteDatabase
from pondage.errors import StorageFull, Unavailable

pytestmark = pytest.mark.anyio


def put(word: str) -> Callable[[Cursor], str]:
    def operation(cursor: Cursor) -> str:
        cursor.execute("INSERT INTO words (word) VALUES (?)", (word,))
        return word

    return operation


async def words(database: SqliteDatabase) -> list[str]:
    return await database.read(lambda c: [row[0] for row in c.execute("SELECT word FROM words ORDER BY rowid")])


async def test_operations_are_applied_in_order(database: SqliteDatabase) -> None:
    futures = [database.write(put(f"w{n}")) for n in range(200)]
    assert await asyncio.gather(*futures) == [f"w{n}" for n in range(200)]
    assert await words(database) == [f"w{n}" for n in range(200)]


async def test_a_failure_undoes_only_itself(database: SqliteDatabase) -> None:
    def half(cursor: Cursor) -> None:
        cursor.execute("INSERT INTO words (word) VALUES ('half')")
        raise ValueError("no")

    answers = await asyncio.gather(
        database.write(put("a")),
        database.write(half),
        database.write(put("b")),
        database.write(put("a")),
        database.write(put("c")),
        return_exceptions=True,
    )
    assert [answers[0], answers[2], answers[4]] == ["a", "b", "c"]
    assert isinstance(answers[1], ValueError)
    assert isinstance(answers[3], apsw.ConstraintError)
    assert await words(database) == ["a", "b", "c"]


async def test_early_comes_before_the_commit_and_only_for_what_will_be_committed(database: SqliteDatabase) -> None:
    heard: list[str] = []

    def early(word: str) -> None:
        heard.append(f"early {word}")

    def fail(cursor: Cursor) -> str:
        raise ValueError("no")

    first = database.write(put("a"), early=early)
    first.add_done_callback(lambda _: heard.append("done a"))
    failing = database.write(fail, early=early)
    second = database.write(put("b"), early=early)
    await asyncio.gather(first, failing, second, return_exceptions=True)
    await asyncio.sleep(0)
    assert heard[0] == "early a" and "done a" in heard
    assert heard.count("early a") == heard.count("early b") == 1


async def test_an_early_callback_that_raises_harms_nobody(
    database: SqliteDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    def early(word: str) -> None:
        raise RuntimeError("boom")

    assert await asyncio.gather(database.write(put("a"), early=early), database.write(put("b"))) == ["a", "b"]


async def test_lazy_operations_wait_for_company_but_not_for_ever(database: SqliteDatabase) -> None:
    assert await database.write(put("alone"), lazy=True) == "alone"
    order: list[str] = []
    lazy = database.write(put("lazy"), lazy=True)
    eager = database.write(put("eager"))
    for name, future in (("lazy", lazy), ("eager", eager)):
        future.add_done_callback(lambda _, name=name: order.append(name))
    await asyncio.gather(lazy, eager)
    await asyncio.sleep(0)
    assert order == ["lazy", "eager"]


async def test_a_cancelled_waiter_changes_nothing(database: SqliteDatabase) -> None:
    future = database.write(put("a"))
    future.cancel()
    assert await database.write(put("b")) == "b"
    assert await words(database) == ["a", "b"]


async def test_a_full_disk_is_an_error_and_not_the_end(database: SqliteDatabase) -> None:
    await database.write(put("before"))

    def shrink(cursor: Cursor) -> None:
        (pages,) = cursor.execute("PRAGMA page_count").fetchone()
        cursor.execute(f"PRAGMA max_page_count = {pages + 2}").fetchall()

    def large(cursor: Cursor) -> None:
        cursor.execute("INSERT INTO words (word) VALUES (?)", ("x" * 100_000,))

    await database.write(shrink)
    with pytest.raises(StorageFull):
        await database.write(large)
    answers = await asyncio.gather(
        database.write(put("small")), database.write(large), database.write(put("also small")), return_exceptions=True
    )
    assert isinstance(answers[1], StorageFull)
    await database.write(lambda cursor: cursor.execute("PRAGMA max_page_count = 1000000").fetchall())
    await database.write(large)
    assert (await words(database))[0] == "before"
    assert [w for w in await words(database) if len(w) < 20] == [
        "before",
        *(word for word in answers if isinstance(word, str)),
    ]


async def test_only_a_commit_that_writes_shows_that_the_disk_takes_something_again(database: SqliteDatabase) -> None:
    database._writer.failing = True
    await database.write(lambda cursor: cursor.execute("SELECT 1").fetchall())
    assert database.failing
    await database.write(put("x"))
    assert not database.failing


async def test_a_closed_database_says_so(database: SqliteDatabase) -> None:
    last = database.write(put("last"))
    await database.close()
    assert last.result() == "last"
    with pytest.raises(Unavailable):
        await database.write(put("too late"))
    with pytest.raises(Unavailable):
        await words(database)
    heard: list[BaseException | None] = []
    database.post(put("too late"), lambda result, error: heard.append(error))
    assert isinstance(heard[0], Unavailable)
    await database.close()


async def test_readers_see_one_snapshot(database: SqliteDatabase) -> None:
    await database.write(put("a"))
    loop = asyncio.get_running_loop()

    def twice(cursor: Cursor) -> tuple[int, int]:
        (before,) = cursor.execute("SELECT count(*) FROM words").fetchone()
        asyncio.run_coroutine_threadsafe(write_b(), loop).result(30)
        (after,) = cursor.execute("SELECT count(*) FROM words").fetchone()
        return before, after

    async def write_b() -> None:
        await database.write(put("b"))

    assert await database.read(twice) == (1, 1)
    assert await words(database) == ["a", "b"]


async def test_a_reader_cannot_write(database: SqliteDatabase) -> None:
    with pytest.raises(Unavailable):
        await database.read(put("a"))


async def test_a_long_log_is_moved_into_the_file(database: SqliteDatabase) -> None:
    for n in range(30):
        await database.write(lambda c, n=n: c.execute("INSERT INTO words (word) VALUES (?)", (str(n) + "x" * 900_000,)))
    assert len(await words(database)) == 30
    assert database.path.stat().st_size > 10_000_000
