"""Times as people type them: so long ago, or a date."""

from __future__ import annotations

import argparse
import re
from datetime import datetime, timedelta, tzinfo

from pondage import durations
from pondage.cli.failures import BadArguments


def moment(text: str | None, now: datetime, zone: tzinfo | None = None) -> float | None:
    """Seconds since 1970 for `30m` (ago) or an ISO time.

    Args:
        zone: where a time without one of its own is meant; None: where this machine is.

    Raises:
        BadArguments: it is neither, or no clock shows it.
    """
    if text is None:
        return None
    try:
        if ago := re.fullmatch(r"(\d{1,12})([smhdw])", text):
            return (now - timedelta(seconds=int(ago[1]) * durations.UNITS[ago[2]])).timestamp()
        at = datetime.fromisoformat(text)
        return (at.replace(tzinfo=zone) if at.tzinfo is None and zone is not None else at).timestamp()
    except (ValueError, OverflowError, OSError):
        raise BadArguments(f"{text!r} is no time", "30m, 2h, 3d for that long ago, or 2026-01-31T13:00") from None


def span(text: str) -> float:
    """The seconds of a flag such as `--timeout 90s`, for argparse, which says what it refuses."""
    try:
        return durations.seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def ahead(text: str | None, now: datetime) -> float | None:
    """Seconds since 1970 for `2h` (from now) or an ISO time, where this machine is.

    Raises:
        BadArguments: it is neither, or no clock shows it.
    """
    if text is not None and (later := re.fullmatch(r"\+?(\d{1,6})([smhdw])", text)):
        return (now + timedelta(seconds=int(later[1]) * durations.UNITS[later[2]])).timestamp()
    return moment(text, now)
