"""What runners have started is ended also where processes cannot be asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pondage import processes
from pondage.fleet.kin import Kin
from pondage.processes import Survey

pytestmark = pytest.mark.anyio

CHILD = "import subprocess, sys, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"


@pytest.mark.parametrize("trouble", [OSError(24, "Too many open files"), None])
async def test_without_a_survey_the_group_is_ended(
    monkeypatch: pytest.MonkeyPatch, trouble: OSError | None, tmp_path: Path
) -> None:
    def survey() -> Survey:
        if trouble is not None:
            raise trouble
        return Survey({}, {}, ())

    with subprocess.Popen(
        [sys.executable, "-S", "-c", CHILD], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as runner:
        assert runner.stdout is not None
        child = psutil.Process(int(runner.stdout.readline()))
        runner.kill()
        monkeypatch.setattr(processes, "survey", survey)
        await Kin(lambda: {runner.pid}, lambda _: False, orphans=False).end("r1", runner.pid)
        gone, _ = psutil.wait_procs([child], 10)
        assert gone or child.status() == psutil.STATUS_ZOMBIE
