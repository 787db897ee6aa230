"""`python -m penstock.torture.gateway SETTINGS_JSON TARGET…`: the real server, with a disk, a clock and connections
that fail as `PENSTOCK_TORTURE_PLAN` says."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from penstock import telemetry
from penstock.loop import run_loop
from penstock.server import serve
from penstock.settings import load
from penstock.testing import faults

PLAN = "PENSTOCK_TORTURE_PLAN"
NOTES = "PENSTOCK_TORTURE_NOTES"

if __name__ == "__main__":
    telemetry.set_up("INFO")
    settings, _ = load(msgspec.json.decode(sys.argv[1]), environ={})
    clock = faults.install(Path(os.environ[PLAN]), Path(os.environ[NOTES]))
    run_loop(serve(settings, sys.argv[2:], clock=clock))
