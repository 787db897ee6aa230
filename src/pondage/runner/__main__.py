"""`python -m pondage.runner`."""

from __future__ import annotations

import sys

from pondage.runner.ending import leave, leave_in_order
from pondage.runner.main import main

code = main(sys.argv[1:])
if code == 0:
    leave_in_order(code)
leave(code)
