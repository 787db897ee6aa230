"""What becomes of a delivery after a try: done, due again, or dead. Pure, so that the whole table can be tested."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from pondage.settings import Settings
from pondage.webhooks.interface import Next, Tried

GONE = 410


def after(tried: Tried, *, tries: int, since: float, settings: Settings, dice: float) -> Next:
    """Decide what becomes of a delivery.

    Args:
        tried: the try that just ended.
        tries: how many there were since `since`, this one included.
        since: when the delivery was first owed, or replayed; wall seconds.
        dice: a random number from 0 to 1, for the jitter.
    """
    now = tried.at + tried.duration
    if tried.ok:
        return Next("done", now)
    if tried.status == GONE:
        return Next("dead", now, "the receiver wants no more of it")
    if tried.final:
        return Next("dead", now, "no later try can succeed")
    due = now + _gap(settings.webhook_schedule, tries) * (1 + settings.webhook_jitter * dice)
    if tried.retry_after is not None:
        # A receiver may ask for patience, but not for more than we have.
        due = max(due, now + min(tried.retry_after, settings.webhook_window))
    if due > since + settings.webhook_window and tries >= settings.webhook_least_tries:
        return Next("dead", now, f"given up after {tries} tries in {now - since:.0f} s")
    return Next("owed", due)


def gaps(schedule: tuple[float, ...]) -> list[float]:
    """The seconds between each two tries that are neighbours."""
    return [_gap(schedule, tries) for tries in range(len(schedule) + 1)]


def _gap(schedule: tuple[float, ...], tries: int) -> float:
    """Seconds between try `tries` and the next one; the schedule's last gap repeats."""
    at = min(tries, len(schedule) - 1)
    return schedule[at] - schedule[at - 1] if at > 0 else schedule[0]


def reason_for(status: int) -> str:
    """Why this answer is no success, in words; empty where it is one."""
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return f"answered {status}, a redirect; redirects are not followed"
    return f"answered {status}"


def retry_after(value: str | None, now: float) -> float | None:
    """The seconds that a Retry-After header asks for, a number or a date (RFC 9110 10.2.3); None: nothing usable."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None
