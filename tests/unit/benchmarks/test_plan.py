"""Peers come and go: one that cannot be had or errs is left out with its reason, and the rest is measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from benchmarks.figures import OURS, Section
from benchmarks.peers.environments import MAIN, PEERS
from benchmarks.plan import Plan, beside, in_turn, interleave, only_main
from benchmarks.processes import Processes
from benchmarks.scenarios import ALL
from benchmarks.servers import Running

pytestmark = pytest.mark.anyio


@contextmanager
def server(folder: Path) -> Iterator[Running]:
    processes = Processes(folder / "log", folder)
    processes.start(["sleep", "60"])
    try:
        yield Running("peer", 1, processes, "/run")
    finally:
        processes.stop()


async def warm_up(running: Running) -> None:
    running.processes.check()


async def broken(running: Running) -> None:
    raise RuntimeError("answered\n  409: " + "x" * 1000 + " no slot")


def states(running: Running) -> set[str]:
    return {process.status() for process in running.processes.tree()}


def rests(running: Running) -> None:
    """Return when it is stopped; a signal takes effect when the process is next on a processor."""
    while states(running) != {psutil.STATUS_STOPPED}:
        running.processes.check()


async def test_a_peer_rests_until_its_turn(tmp_path: Path) -> None:
    section = Section("run", "")
    with ExitStack() as stack:
        peer = await beside(stack, section, "peer", lambda: server(tmp_path), warm_up)
        assert peer is not None
        rests(peer)

        async def measured() -> set[str]:
            return states(peer)

        assert psutil.STATUS_STOPPED not in await in_turn(peer, measured)
        rests(peer)
    assert peer.processes.tree() == []
    assert section.skipped == {}


async def test_a_peer_that_does_not_answer_is_stopped_and_named_with_the_reason(tmp_path: Path) -> None:
    section = Section("run", "")
    started: list[psutil.Process] = []

    async def noted(running: Running) -> None:
        started.extend(running.processes.tree())
        await broken(running)

    with ExitStack() as stack:
        assert await beside(stack, section, "peer", lambda: server(tmp_path), noted) is None
        for process in started:
            with suppress(psutil.NoSuchProcess):
                assert process.status() == psutil.STATUS_ZOMBIE
    reason = section.skipped["peer"]
    assert reason.startswith("answered 409: xxx") and reason.endswith("no slot")
    assert len(reason) < 450


async def test_a_peer_that_errs_leaves_and_the_others_go_on() -> None:
    section = Section("run", "")
    rounds = iter(range(10))

    async def fine() -> int:
        return 1

    async def errs() -> int:
        if next(rounds) == 1:
            raise ConnectionResetError("gone")
        return 2

    taken = await interleave(3, {OURS: fine, "peer": errs}, section)
    assert taken == {OURS: [1, 1, 1]}
    assert section.skipped == {"peer": "gone"}


async def test_an_error_of_ours_ends_the_scenario() -> None:
    async def errs() -> int:
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        await interleave(3, {OURS: errs}, Section("run", ""))


def test_a_quick_run_says_which_peers_it_has_not(tmp_path: Path) -> None:
    section = Section("run", "")
    assert not only_main(Plan(False, 1, 1, tmp_path), section, ["Cog"])
    assert section.skipped == {}
    assert only_main(Plan(True, 1, 1, tmp_path), section, ["Cog"])
    assert section.skipped == {"Cog": "a quick run measures the main peers only"}


def test_every_environment_is_one_that_a_scenario_needs() -> None:
    needed = {peer for scenario in ALL for peer in getattr(scenario, "PEERS", ())}
    assert needed == set(PEERS)
    assert set(MAIN) <= needed
