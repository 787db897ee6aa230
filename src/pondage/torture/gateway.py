"""`python -m pondage.torture.gateway SETTINGS_JSON TARGET…`: the real server, with a disk, a clock and connections
that fail as `PONDAGE_TORTURE_PLAN` says."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from pondage import telemetry
from pondage.loop import run_loop
from pondage.server import serve
from pondage.settings import load
from pondage.testing import faults

PLAN = "PONDAGE_TORTURE_PLAN"
NOTES = "PONDAGE_TORTURE_NOTES"

if __name__ == "__main__":
    telemetry.set_up("INFO")
    settings, _ = load(msgspec.json.decode(sys.argv[1]), environ={})
    clock = faults.install(Path(os.environ[PLAN]), Path(os.environ[NOTES]))
    run_loop(serve(settings, sys.argv[2:], clock=clock, alone=True))
