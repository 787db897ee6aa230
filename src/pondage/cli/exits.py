"""The exit codes of every verb. Scripts depend on them."""

from __future__ import annotations

OK = 0
FAILED = 1
"""The request ended with an error, or a check found something."""
BAD_INPUT = 2
"""The arguments, the input or the set-up must be changed first."""
NO_SERVER = 3
"""Nothing answers at the server's address."""
NOT_ALLOWED = 4
"""No key, a wrong one, or one without the right."""
STILL_RUNNING = 5
"""The time limit is over and the request goes on."""
STOPPED = 130
"""Ctrl-C."""
