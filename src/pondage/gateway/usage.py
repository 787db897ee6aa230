"""What keys used: `GET /api/v1/usage`, by key, app and day, as JSON or as CSV.

The figures are added up as outcomes are committed (`pondage.queue.counts`); nothing is counted here.
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime

import msgspec

from pondage.errors import Forbidden, InvalidInput
from pondage.gateway import answers
from pondage.gateway.api import chosen
from pondage.gateway.call import Call, Response
from pondage.gateway.route import BUCKETS, BY, FORMATS
from pondage.gateway.series import span
from pondage.gateway.shapes import UsageItem, UsageReport
from pondage.queue.counts import DAY, Usage, Used

USUAL_SPAN = 30.0 * DAY
"""Seconds that are shown where nobody says since when."""
MOST_ROWS = 100_000
"""Rows of one answer."""

Place = tuple[str | None, str | None, str | None]
"""Day (or month), key and app; None where these are added up."""


async def show_usage(call: Call) -> Response:
    """What keys used of apps; a key without the scope `read-all` sees its own.

    Raises:
        Forbidden: a token, or another's key is asked for.
        InvalidInput: `until` is before `since`, or there are more rows than one answer has.
    """
    since, until = span(call, USUAL_SPAN)
    by = (chosen(call, "by", {name: name for name in BY}) or "key,app").split(",")
    bucket = chosen(call, "bucket", {name: name for name in BUCKETS}) or "day"
    form = chosen(call, "format", {name: name for name in FORMATS}) or _accepted(call)
    app, names = call.query.get("app"), call.rooms.keys.names()
    used = await call.rooms.queue.counts.usage(since=since, until=until, caller=_whose(call))
    seen = [one for one in used if call.caller.may_call(one.app) and app in (None, one.app)]
    # A year of a thousand keys is a second's work, which nobody else has to wait for.
    body = await asyncio.to_thread(_report, seen, names, by, bucket, form)
    headers = [(b"content-type", b"application/json"), (b"vary", b"accept")]
    if form == "csv":
        headers[0] = (b"content-type", b"text/csv; charset=utf-8")
        headers.append((b"content-disposition", b'attachment; filename="usage.csv"'))
    return answers.Answer(200, body, headers)


def _whose(call: Call) -> str | None:
    """The key whose usage is asked for; None: everybody's."""
    who, key = call.caller, call.query.get("key")
    if who.by_token:
        raise Forbidden("usage is for keys: a token sees none of it")
    if who.may("read-all"):
        return key
    if key not in (None, who.key_id):
        raise Forbidden("this key sees its own usage; one with the scope 'read-all' sees everybody's")
    return who.key_id


def _accepted(call: Call) -> str:
    accept = call.headers.get("accept", "")
    return "csv" if "text/csv" in accept and "application/json" not in accept else "json"


def _report(used: Iterable[Used], names: Mapping[str, str], by: list[str], bucket: str, form: str) -> bytes:
    """The body of the answer."""
    rows = added_up(used, by, bucket)
    if len(rows) > MOST_ROWS:
        wrong = f"this is {len(rows)} rows, and one answer has at most {MOST_ROWS}; ask for less time, or by less"
        raise InvalidInput.field(["query", "since"], wrong)
    items = [
        UsageItem(day, key, None if key is None else names.get(key), app, **msgspec.structs.asdict(usage))
        for (day, key, app), usage in rows
    ]
    if form == "json":
        return msgspec.json.encode(UsageReport(items, None))
    shown = {"day": bucket != "all", "key": "key" in by, "key_name": "key" in by, "app": "app" in by}
    return _table([name for name in UsageItem.__struct_fields__ if shown.get(name, True)], items)


def added_up(used: Iterable[Used], by: Collection[str], bucket: str) -> list[tuple[Place, Usage]]:
    """Usage added up by `key` and `app`, as asked, and by day, month or not at all; the oldest first."""
    sums: dict[Place, Usage] = {}
    for one in used:
        place = (_period(one.day, bucket), one.caller if "key" in by else None, one.app if "app" in by else None)
        sums.setdefault(place, Usage()).add(one.usage)
    return sorted(sums.items(), key=lambda both: [part or "" for part in both[0]])


def _period(day: int, bucket: str) -> str | None:
    if bucket == "all":
        return None
    return datetime.fromtimestamp(day, UTC).strftime("%Y-%m" if bucket == "month" else "%Y-%m-%d")


def _table(columns: list[str], items: list[UsageItem]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_cell(getattr(item, name)) for name in columns] for item in items)
    return text.getvalue().encode()


def _cell(value: object) -> object:
    """A name that a spreadsheet would take for a formula is text there."""
    return "'" + value if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
