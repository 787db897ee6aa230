"""`pondage keys`: who may call. It writes the data folder's database, and a running server notices within a second."""

from __future__ import annotations

import argparse
import asyncio
import re
import shlex
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pondage.cli import exits
from pondage.cli.failures import BadArguments
from pondage.cli.terminal import duration, table
from pondage.wire.ids import parse_endpoint
from pondage.wire.scopes import DEFAULT, PRIORITIES, SCOPES

if TYPE_CHECKING:
    from pondage.keys import KeyRecord, KeyStore

HELP = "make, list, rotate and revoke API keys"

_LONGEST = 1e9
"""Seconds of an overlap."""
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0}


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make a key; its secret is shown once")
    create.add_argument("name", help="whose key it is, for people")
    create.add_argument("--scopes", help=f"comma separated, of {', '.join(SCOPES)} ({','.join(DEFAULT)})")
    create.add_argument(
        "--apps", help="limit the key to these apps, comma-separated owner/alias; it holds for admin keys too"
    )
    create.add_argument("--force", action="store_true", help="allow --apps that this data folder does not know")
    create.add_argument("--expires", metavar="TIME", help="like 12h, 30d, or 2027-01-31")
    create.add_argument(
        "--priority",
        choices=tuple(PRIORITIES),
        default="normal",
        help="the highest of its requests (normal)",
    )
    listing = actions.add_parser("list", help="all keys, without their secrets")
    rotate = actions.add_parser("rotate", help="give a key another secret; the old one opens for a while, too")
    rotate.add_argument("--overlap", metavar="TIME", default="1d", help="for how long: 1h, 7d (1d); 0s ends it now")
    revoke = actions.add_parser("revoke", help="end a key at once")
    for one in (rotate, revoke):
        one.add_argument("id", help="the part of the key before the colon")
    for action in (create, listing, rotate, revoke):
        action.add_argument("--data", help="data folder (./pondage-data)")
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    from pondage.database.folder import is_new, refuse_lost
    from pondage.settings import load

    settings, _ = load({"data": args.data})
    data = Path(settings.data)
    refuse_lost(data, "" if "://" in settings.files else settings.files)
    return asyncio.run(_run(args, data, there=not is_new(data)))


async def _run(args: argparse.Namespace, data: Path, *, there: bool) -> int:
    actions: dict[str, Callable[[KeyStore, argparse.Namespace], Awaitable[int]]] = {
        "create": _create,
        "list": _list,
        "rotate": _rotate,
        "revoke": _revoke,
    }
    from pondage.clock import SystemClock
    from pondage.database.sqlite import SqliteDatabase
    from pondage.keys import KeyStore

    # A running server holds the folder; beside it a command may attach. The first key may come before the first start.
    database = await (SqliteDatabase.attach(data) if there else SqliteDatabase.open(data))
    try:
        return await actions[args.action](await KeyStore.open(database, SystemClock(), data), args)
    finally:
        await database.close()


async def _create(store: KeyStore, args: argparse.Namespace) -> int:
    scopes = list(DEFAULT) if args.scopes is None else _words(args.scopes)
    apps = None if args.apps is None else _apps(_words(args.apps), await store.known_apps(), force=args.force)
    first = not store.any
    key_id, secret = await store.create(
        args.name, scopes=scopes, apps=apps, expires_at=expiry(args.expires), priority=PRIORITIES[args.priority]
    )
    if args.json:
        made = {"id": key_id, "secret": secret, "key": f"{key_id}:{secret}", "scopes": scopes, "apps": apps}
        args.terminal.result_json(made)
        return exits.OK
    args.terminal.result(f"{key_id}:{secret}")
    args.terminal.say("  This is shown once. Use it: PONDAGE_KEY=… or the header  Authorization: Key …")
    args.terminal.say(f"  It may: {', '.join(scopes)}; of {'every app' if apps is None else ', '.join(apps)}.")
    if args.scopes is None:
        args.terminal.say(f"  An operator's key, which may do everything: {_operators(args)}")
    if first:
        args.terminal.say("  From now on every call to a server on this data folder needs a key.")
    return exits.OK


def _words(text: str) -> list[str]:
    return [word for part in text.split(",") if (word := part.strip())]


def _apps(names: list[str], known: list[str], *, force: bool) -> list[str]:
    """The apps of `--apps`, each `owner/alias`, and one that the data folder knows once it knows any.

    Raises:
        BadArguments: a name is none, or none that is known; a key for a misspelt app opens nothing.
    """
    if not names:
        raise BadArguments("--apps names no app", "leave it out for a key of every app")
    for name in names:
        try:
            if parse_endpoint(name).app != name:
                raise ValueError(f"{name!r} names an endpoint; a key is for a whole app, owner/alias")
        except ValueError as error:
            raise BadArguments(f"--apps: {error}") from None
        if known and name not in known and not force:
            near = get_close_matches(name, known, n=3, cutoff=0.4) or known[:5]
            raise BadArguments(
                f"--apps: this data folder knows no app {name}; it knows {', '.join(near)}",
                "--force makes the key all the same, for an app that is still to come",
            )
    return names


async def _rotate(store: KeyStore, args: argparse.Namespace) -> int:
    overlap = _span(args.overlap)
    secret = await store.rotate(args.id, overlap)
    if secret is None:
        raise BadArguments(f"there is no key {args.id} that opens anything", "pondage keys list shows them")
    if args.json:
        args.terminal.result_json({"id": args.id, "secret": secret, "key": f"{args.id}:{secret}", "overlap": overlap})
        return exits.OK
    args.terminal.result(f"{args.id}:{secret}")
    until = f"opens for {duration(overlap)} more" if overlap else "opens nothing any more"
    args.terminal.say(f"  This is shown once. The old secret {until}.")
    return exits.OK


def _span(text: str) -> float:
    """The seconds of `--overlap`.

    Raises:
        BadArguments: it is no span, or of decades.
    """
    found = re.fullmatch(r"(\d{1,10})([smhdw])", text)
    seconds = int(found[1]) * _UNITS[found[2]] if found else -1.0
    if not 0 <= seconds <= _LONGEST:
        raise BadArguments(f"--overlap {text!r} is no time", "like 1h, 7d, or 0s")
    return seconds


def _operators(args: argparse.Namespace) -> str:
    data = f" --data {shlex.quote(args.data)}" if args.data else ""
    return f"pondage keys create NAME --scopes admin{data}"


def expiry(text: str | None, now: float | None = None) -> float | None:
    """The wall time that `--expires` names; None for never.

    Raises:
        BadArguments: it is no span and no date, or it has passed.
    """
    if text is None:
        return None
    now = time.time() if now is None else now
    try:
        if text[-1:] in _UNITS:
            moment = now + float(text[:-1]) * _UNITS[text[-1]]
        else:
            moment = datetime.fromisoformat(text).astimezone().timestamp()
    except ValueError:
        raise BadArguments(f"--expires {text!r} is no time", "like 12h, 30d, or 2027-01-31") from None
    if moment <= now:
        raise BadArguments(f"--expires {text!r} has passed already")
    return moment


async def _list(store: KeyStore, args: argparse.Namespace) -> int:
    records = await store.list()
    if args.json:
        args.terminal.result_list(_shown(record) for record in records)
        return exits.OK
    if not records:
        args.terminal.say("no keys: on loopback anybody may call; other addresses need one")
        return exits.OK
    now = time.time()
    rows = [
        (
            record.id,
            record.name,
            ",".join(sorted(record.scopes)),
            "any" if record.apps is None else ",".join(sorted(record.apps)),
            _day(record.created_at),
            "revoked" if record.revoked_at is not None else "good" if record.good(now) else "expired",
            _day(record.expires_at) if record.expires_at is not None else "never",
            "low" if record.priority else "",
            f"{_day(record.used_at)} {record.used_from or ''}".rstrip() if record.used_at is not None else "never",
        )
        for record in records
    ]
    for line in table(rows, ("id", "name", "scopes", "apps", "made", "state", "expires", "priority", "used")):
        args.terminal.result(line)
    return exits.OK


def _shown(record: KeyRecord) -> dict[str, Any]:
    from pondage.clock import iso

    times = {name: getattr(record, name) for name in ("expires_at", "revoked_at", "rotated_at", "old_until", "used_at")}
    return {
        "id": record.id,
        "name": record.name,
        "scopes": sorted(record.scopes),
        "apps": None if record.apps is None else sorted(record.apps),
        "priority": next(word for word, number in PRIORITIES.items() if number == record.priority),
        "created_at": iso(record.created_at),
        **{name: None if at is None else iso(at) for name, at in times.items()},
        "used_from": record.used_from,
    }


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment).astimezone().strftime("%Y-%m-%d")


async def _revoke(store: KeyStore, args: argparse.Namespace) -> int:
    key_id = args.id.partition(":")[0]
    done = await store.revoke(key_id)
    if args.json:
        args.terminal.result_json({"id": key_id, "revoked": done})
    else:
        args.terminal.result(f"{key_id}  " + ("revoked" if done else "no such key, or revoked already"))
    return exits.OK if done else exits.FAILED
