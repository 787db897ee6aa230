"""`python -m pondage.cli`: the same as `pondage`."""

from __future__ import annotations

import sys

from pondage.cli import main

sys.exit(main())
