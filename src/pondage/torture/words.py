"""Names that the torturer, its gateway and its app share."""

from __future__ import annotations

APP = "torture/app"
SLOTS = 8
"""Requests that one runner of the app executes at once."""
RUNNERS = 2
JOURNALS = "PONDAGE_TORTURE_JOURNALS"
"""Environment variable with the folder of the journals."""
