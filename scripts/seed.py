"""Fills a data folder with finished requests of the gallery app, spread over 30 days, for tests and measurements.

    python scripts/seed.py 1000000 --data ./seeded
    pondage serve examples/gallery.py --data ./seeded --set retention=5184000

A few requests of each kind are really run; the others are copies of their rows with ids and times of their own. They
are in lists, filters and pages; what is counted (charts, error groups) tells of the real ones alone.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import apsw
import msgspec

from pondage.testing import serve

ROOT = Path(__file__).resolve().parent.parent
DAYS = 30
KINDS: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("gallery/media", {"steps": 1, "pause": 0, "count": 1}, 40),
    ("gallery/media/text", {"words": 30}, 20),
    ("gallery/states", {"seconds": 0, "steps": 1}, 20),
    ("gallery/controls/anything", {"prompt": "a fox in snow", "seed": 12345678901234567890}, 15),
    ("gallery/states/fail", {"message": "no such checkpoint: /models/sd-9"}, 3),
    ("gallery/states/refuse", {"status": 418}, 2),
)
"""What is run, with which input, and how often it is copied: per cent."""


def run_some(data: Path) -> None:
    """One real request of each kind."""
    with serve(str(ROOT / "examples" / "gallery.py"), data=str(data), retention=float(2 * DAYS * 86_400)) as served:
        for endpoint, given, _ in KINDS:
            asked = Request(  # noqa: S310 - our own server
                f"{served.url}/{endpoint}", msgspec.json.encode(given), {"content-type": "application/json"}
            )
            try:
                urlopen(asked).read()  # noqa: S310
            except HTTPError as expected:
                expected.close()


def copy_rows(data: Path, count: int, seed: int = 1) -> None:
    """Copy the rows of finished requests until there are `count`, oldest first."""
    connection = apsw.Connection(str(data / "pondage.db"))
    connection.pragma("synchronous", 0)
    names = [row[1] for row in connection.execute("PRAGMA table_info(finished)")]
    found = list(connection.execute(f"SELECT {', '.join(names)} FROM finished ORDER BY seq"))  # noqa: S608
    first = max(row[names.index("seq")] for row in found) + 1
    marks = ", ".join("?" * len(names))
    with connection:
        connection.executemany(f"INSERT INTO finished VALUES ({marks})", _copies(names, found, first, count, seed))  # noqa: S608
        connection.execute("DELETE FROM finished WHERE seq < ?", (first,))
    connection.close()


def _copies(names: list[str], found: list[Any], first: int, count: int, seed: int) -> Iterator[tuple[Any, ...]]:
    chance = random.Random(seed)  # noqa: S311 - the same rows each time
    weights = [share for _, _, share in KINDS]
    at = {name: names.index(name) for name in ("seq", "id", "submitted_at", "started_at", "finished_at")}
    end = time.time()
    begin, step = end - DAYS * 86_400, DAYS * 86_400 / count
    for n in range(count):
        row = list(chance.choices(found, weights)[0])
        submitted = begin + n * step
        started = submitted + chance.expovariate(5)
        row[at["seq"]] = first + n
        row[at["id"]] = _id(submitted, n)
        row[at["submitted_at"]] = submitted
        row[at["started_at"]] = started
        row[at["finished_at"]] = started + chance.expovariate(1)
        yield tuple(row)


def _id(moment: float, n: int) -> str:
    """A UUIDv7 of a moment, which the number makes the only one."""
    stamp = int(moment * 1000)
    text = f"{(stamp << 80) | (0x7 << 76) | (0b10 << 62) | n:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("count", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--data", type=Path, required=True, help="a folder that is not there yet")
    args = parser.parse_args()
    if args.data.exists():
        raise SystemExit(f"{args.data} is there already")
    run_some(args.data)
    copy_rows(args.data, args.count)
    print(f"{args.count} finished requests in {args.data}")


if __name__ == "__main__":
    main()
