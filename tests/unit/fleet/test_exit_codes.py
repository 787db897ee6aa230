"""How a runner has ended is told as it was, whatever starts and dies beside it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from pondage import processes
from pondage.fleet import kin

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only there a process inherits orphans")

STRESS = """
import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from pondage import processes
from pondage.fleet import kin
from pondage.fleet.discover import AppSource
from pondage.fleet.placement import LocalProcesses
from pondage.loop import run_loop

kin._BURY_INTERVAL = 0.0  # all the time
processes.heed_children()
assert processes.become_subreaper()
SOURCE = AppSource("none:None", "acme/none", None)
ENDS = ["exit 0", "exit 7", "exit 255", "kill -9 $$", "kill -6 $$", "kill -15 $$"]
WORDS = ["exited with code 0", "exited with code 7", "exited with code 255", "was ended by SIGKILL",
         "was ended by SIGABRT", "was ended by SIGTERM"]


class Shells(LocalProcesses):
    def _spawn(self, runner_id, source, environment):
        streams, end = (os.pipe(), os.pipe()), ENDS[int(runner_id.partition("-")[2])]
        # It leaves a dead orphan and a living one behind.
        script = f"(setsid true &) ; (setsid sleep 60 &) ; sleep 0.0{random.randrange(10)}; {end}"
        process = subprocess.Popen(["sh", "-c", script], env=environment, start_new_session=True)
        for _, writing in streams:
            os.close(writing)
        return process, (streams[0][0], streams[1][0])


async def main(folder):
    local = Shells(folder=folder, socket=folder / "s", secret="s", last_words=lambda *_: None, orphans=True)
    told, over, wrong = 0, asyncio.Event(), []

    def died(runner_id, cause):
        nonlocal told
        expected = f"runner {runner_id} {WORDS[int(runner_id.partition('-')[2])]}"
        if cause != expected:
            wrong.append((cause, expected))
        told += 1
        if told == 60:
            over.set()

    for n in range(60):
        await local.start(f"{n}-{n % len(ENDS)}", SOURCE, died)
        # Beside them asyncio has children of its own, as the server has when it lists a module's apps.
        if n % 10 == 0:
            other = await asyncio.create_subprocess_exec("sh", "-c", "exit 3")
            assert await other.wait() == 3
        await asyncio.sleep(0.01)
    await over.wait()
    await local.stop()
    assert not wrong, wrong
    print("told", told)


run_loop(main(Path(sys.argv[1])))
"""


@pytest.mark.parametrize("ignored", [False, True], ids=["", "SIGCHLD ignored by the parent"])
def test_no_end_is_taken_for_another(tmp_path: Path, ignored: bool) -> None:
    script = tmp_path / "stress.py"
    script.write_text(STRESS)
    command = [sys.executable, str(script), str(tmp_path / "runners")]
    if ignored:
        command = ["sh", "-c", 'trap "" CHLD; exec "$@"', "sh", *command]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert (ran.stdout.strip(), ran.returncode) == ("told 60", 0), ran.stderr


@pytest.mark.anyio
async def test_a_runner_that_starts_while_orphans_are_looked_for_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The survey is made in a thread: who is known is asked after it."""
    children: list[subprocess.Popen[bytes]] = []
    survey = processes.survey
    reaped: list[int] = []

    def slow() -> processes.Survey:
        children.append(subprocess.Popen(["sh", "-c", "exit 9"], start_new_session=True))
        while (found := survey().processes.get(children[0].pid)) is None or not found.zombie:
            pass
        return survey()

    monkeypatch.setattr(processes, "survey", slow)
    monkeypatch.setattr(processes, "reap", reaped.append)
    await kin.Kin(lambda: {child.pid for child in children}, lambda _: False, orphans=True)._reap()
    assert children[0].pid not in reaped
    assert await asyncio.to_thread(children[0].wait) == 9
