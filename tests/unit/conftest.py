"""Which unit tests start servers or processes, or wait for real time: `make unit` leaves those marked `process` out."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent

FIXTURES = frozenset({"echo", "gateway", "at", "there", "hostile", "served", "runner", "words", "unruly", "server"})
"""Fixtures that start a server or a runner."""

PLACES = (
    "runner", "torture", "testing", "benchmarks",
    "cli/test_completion.py", "cli/test_reach.py", "cli/test_contributing.py", "cli/test_operating.py",
    "wire/test_fuzz_wire.py", "gateway/test_fuzz_decoders.py",
    "database/test_kill.py", "fleet/test_kin.py", "fleet/test_placement.py", "test_processes.py",
    "app/test_public_face.py", "webhooks/test_verify.py", "toolkit/test_helpers.py", "toolkit/test_download.py",
)  # fmt: skip
"""Folders and files whose tests do so themselves, or try thousands of inputs."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE not in item.path.parents:
            continue
        place = item.path.relative_to(HERE).as_posix()
        fixtures = getattr(item, "fixturenames", ())
        if place.startswith(PLACES) or not FIXTURES.isdisjoint(fixtures):
            item.add_marker(pytest.mark.process)
