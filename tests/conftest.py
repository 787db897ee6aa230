"""What holds for every test: async code never blocks the loop."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx

START_AND_STOP = (
    ("pondage/server.py", {"open"}),
    ("pondage/tls.py", {"with_certificate", "refresh"}),
    ("pondage/fleet/fleet.py", {"open", "stop"}),
    ("pondage/fleet/discover.py", {"discover"}),
    # What a command does, which has no loop; a test may call it from one.
    ("pondage/database/backup.py", {"back_up", "restore", "verify"}),
    ("pondage/database/folder.py", {"__init__", "secret", "note_gateway", "forget_gateway"}),
    ("pondage/database/sqlite.py", {"connect"}),
    ("pondage/database/migrations.py", {"ours"}),
    # A wrapper for threads; the test of it stands in for one.
    ("pondage/outbound.py", {"fetch_to"}),
    ("pondage/processes.py", {"started_at"}),
    (
        "pondage/fleet/placement.py",
        {"__init__", "start", "survivors", "adopt", "_forget", "_remove", "_remember", "_wait"},
    ),
)
"""Where a server may touch a few small files on its loop: while it starts and stops, and as it starts a runner."""


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as the service does."""
    return "asyncio"


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> Iterator[BlockBuster]:
    """Fail whatever sleeps, reads files, or waits for a socket or a lock within a coroutine of ours."""
    with blockbuster_ctx("pondage") as guard:
        for function in guard.functions.values():
            for place, names in START_AND_STOP:
                function.can_block_in(place, names)
        yield guard
