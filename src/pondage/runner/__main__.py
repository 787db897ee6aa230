"""`python -m pondage.runner`."""

from __future__ import annotations

import os
import sys

from pondage.runner.main import main

code = main(sys.argv[1:])
sys.stdout.flush()
sys.stderr.flush()
# Threads that an author's code left behind must not hold the process.
os._exit(code)
