"""What is measured. Each module has a NAME, a TITLE and `measure(plan, section)`, and in PEERS the environments that
it needs. The order here is that of a run.
"""

from __future__ import annotations

from types import ModuleType

from benchmarks.scenarios import (
    abuse,
    callers,
    depth,
    files,
    growth,
    idle,
    pages,
    realtime,
    run,
    start,
    stream,
    submit,
    webhooks,
)

ALL: list[ModuleType] = [
    run,
    submit,
    start,
    idle,
    callers,
    stream,
    realtime,
    files,
    webhooks,
    growth,
    depth,
    abuse,
    pages,
]
