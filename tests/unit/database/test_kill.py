"""`kill -9` in the middle of commits: whatever was acknowledged is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pondage.database.sqlite import SqliteDatabase

pytestmark = pytest.mark.anyio

WRITER = """
import asyncio, sys
from pathlib import Path
from pondage.database.sqlite import SqliteDatabase

async def main():
    database = await SqliteDatabase.open(Path(sys.argv[1]))
    await database.write(lambda c: c.execute("CREATE TABLE IF NOT EXISTS words (word TEXT)"))

    async def work(name):
        n = 0
        while True:
            n += 1
            word = f"{name}-{n}"
            await database.write(lambda c: c.execute("INSERT INTO words VALUES (?)", (word,)))
            print(word, flush=True)

    await asyncio.gather(*(work(name) for name in range(8)))

asyncio.run(main())
"""


async def test_acknowledged_writes_survive_a_kill(tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    for round_ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / f"data{round_}")], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        acknowledged = {process.stdout.readline().strip() for _ in range(100 + 150 * round_)}
        process.kill()
        rest, _ = process.communicate()
        acknowledged |= set(rest.split("\n")[:-1])
        database = await SqliteDatabase.open(tmp_path / f"data{round_}")
        there = await database.read(lambda c: {row[0] for row in c.execute("SELECT word FROM words")})
        await database.close()
        assert acknowledged <= there
