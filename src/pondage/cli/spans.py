"""Where a request's time went: its log and its deliveries as spans. The page's `web/src/timeline/spans.ts` is the same
function; `tests/web/spans.json` holds both to the same answers.

Times are whole milliseconds since the submit. A span that goes on has no end.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

Span = dict[str, Any]


def spans(request: dict[str, Any], events: list[dict[str, Any]], deliveries: list[dict[str, Any]]) -> list[Span]:
    """The spans of a request, in the order of lanes: queue, attempts, webhook tries.

    Args:
        request, events: as `/api/v1/requests/{id}` and `…/events` answer.
        deliveries: as `/api/v1/webhooks/deliveries/{id}` answers, with their `log`.
    """
    zero = milliseconds(request["submitted_at"])
    waits: list[Span] = []
    attempts: list[Span] = []
    waiting: int | None = 0
    running: Span | None = None
    for event in events:
        at = milliseconds(event["at"]) - zero
        kind = event["kind"]
        if kind == "started":
            if waiting is not None:
                waits.append(_span("queue", len(waits) + 1, waiting, at, "waited", ""))
                waiting = None
            running = _span("attempt", event["attempt"], at, None, "running", event.get("runner") or "")
            attempts.append(running)
        elif kind == "retried":
            if running is not None:
                running.update(to=at, state="lost", label=f"{running['label']}: {event.get('reason') or ''}")
                running = None
            waiting = at
        elif kind == "completed":
            outcome = event.get("outcome") or ""
            if running is not None:
                running.update(to=at, state=outcome)
                running = None
            elif waiting is not None:
                waits.append(_span("queue", len(waits) + 1, waiting, at, outcome, event.get("error") or ""))
            waiting = None
    if waiting is not None:
        waits.append(_span("queue", len(waits) + 1, waiting, None, "waiting", ""))
    return [*waits, *attempts, *_tries(deliveries, zero)]


def _tries(deliveries: list[dict[str, Any]], zero: int) -> list[Span]:
    made: list[Span] = []
    for number, delivery in enumerate(deliveries, 1):
        for entry in delivery.get("log") or []:
            at = milliseconds(entry["at"]) - zero
            status = entry.get("status")
            good = status is not None and 200 <= status < 300
            label = f"{status} {entry.get('reason') or ''}".strip() if status else entry.get("reason") or ""
            end = at + round((entry.get("duration") or 0) * 1000)
            made.append(_span("webhook", number, at, end, "ok" if good else "error", label))
    return made


def _span(lane: str, n: int, begin: int, end: int | None, state: str, label: str) -> Span:
    return {"lane": lane, "n": n, "from": begin, "to": end, "state": state, "label": label}


def milliseconds(moment: str) -> int:
    """A moment of the API in whole milliseconds since 1970, as JavaScript reads it."""
    return int(datetime.fromisoformat(moment).timestamp() * 1_000_000 + 0.5) // 1000
