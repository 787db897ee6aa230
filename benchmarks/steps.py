"""Where the time of one request goes, step by step: `python -m benchmarks.steps [--count N]`.

A gateway in this process, marked at the borders of its rooms; one caller, one request in flight, a no-op endpoint.
The marks cost a microsecond each.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import http.client
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

from pondage.database.writer import Writer
from pondage.fleet.dispatcher import Dispatcher
from pondage.fleet.link import SocketLink
from pondage.gateway import answers
from pondage.testing import serve

APP = Path(__file__).parent / "apps" / "noop.py"
WARM = 300

STEPS = [
    ("sent", "submitted", "the caller's bytes to the parsed call and its endpoint"),
    ("submitted", "handed out", "the claim, and the frame to the runner"),
    ("handed out", "finished", "the runner: check, function, outcome back"),
    ("finished", "committing", "the outcome taken in, the writer woken"),
    ("committing", "committed", "the row written and committed, with its fsync"),
    ("committed", "answered", "back on the loop"),
    ("answered", "received", "the answer to the caller"),
]

marks: dict[str, float] = {}


def mark(owner: Any, name: str, label: str, *, after: bool = False) -> None:
    """Note the first time that a function is called (or has returned) in each request."""
    inner: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(inner)
    def marked(*arguments: Any, **keywords: Any) -> Any:
        if not after:
            marks.setdefault(label, time.perf_counter())
        result = inner(*arguments, **keywords)
        if after:
            marks.setdefault(label, time.perf_counter())
        return result

    setattr(owner, name, marked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="requests that are measured")
    count = parser.parse_args().count
    mark(Dispatcher, "submit", "submitted")
    mark(SocketLink, "_flush", "handed out", after=True)
    mark(Dispatcher, "finished", "finished")
    mark(Writer, "_commit", "committing")
    mark(Writer, "_commit", "committed", after=True)
    mark(answers, "outcome", "answered")
    asyncio.run = uvloop.run
    took: dict[str, list[float]] = {text: [] for _, _, text in STEPS}
    whole: list[float] = []
    with serve(str(APP)) as served:
        connection = http.client.HTTPConnection(served.url.removeprefix("http://"))
        body = json.dumps({"x": 1, "pad": "p" * 200})
        for n in range(WARM + count):
            marks.clear()
            marks["sent"] = time.perf_counter()
            connection.request("POST", "/bench/noop", body, {"content-type": "application/json"})
            connection.getresponse().read()
            marks["received"] = time.perf_counter()
            if n >= WARM and len(marks) == len(STEPS) + 1:
                whole.append(marks["received"] - marks["sent"])
                for begin, end, text in STEPS:
                    took[text].append(marks[end] - marks[begin])
            time.sleep(0.001)  # the acknowledgement to the runner leaves by itself
    for text, values in took.items():
        print(f"{statistics.median(values) * 1000:6.3f} ms  {text}")
    print(f"{statistics.median(whole) * 1000:6.3f} ms  the whole, as a blocking caller in Python sees it")


if __name__ == "__main__":
    main()
