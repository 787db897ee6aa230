"""Keys over `/api/v1`: for the pages, and for whoever has an operator's key and no shell on the machine."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal

import msgspec

from pondage.clock import iso
from pondage.errors import BadRequest, InvalidInput, NotFound
from pondage.gateway import answers
from pondage.gateway.call import Call, Response
from pondage.gateway.shapes import Key, Keys, NewKey
from pondage.wire.ids import parse_endpoint
from pondage.wire.scopes import DEFAULT, PRIORITIES, SCOPES

if TYPE_CHECKING:
    from pondage.keys import KeyRecord

MOST_NAME = 100
"""Characters of a key's name."""
LONGEST = 1e9
"""Seconds of a key's life or of an overlap, where they have an end."""
SHORTEST = 60.0
"""Seconds of a key's life: with less it would have ended before anybody has it."""
OVERLAP = 86_400.0
"""Seconds for which the old secret of a rotated key opens, unless something else is said."""


async def list_keys(call: Call) -> Response:
    """The API keys, also revoked ones, oldest first, without their secrets."""
    return answers.json(Keys([_shown(record) for record in await call.rooms.keys.list()], None))


def _shown(record: KeyRecord) -> Key:
    return Key(
        id=record.id,
        name=record.name,
        scopes=sorted(record.scopes),
        apps=None if record.apps is None else sorted(record.apps),
        priority=_WORDS[record.priority],
        created_at=iso(record.created_at),
        expires_at=_iso(record.expires_at),
        revoked_at=_iso(record.revoked_at),
        rotated_at=_iso(record.rotated_at),
        old_until=_iso(record.old_until),
        used_at=_iso(record.used_at),
        used_from=record.used_from,
    )


_WORDS = {number: word for word, number in PRIORITIES.items()}


def _iso(moment: float | None) -> str | None:
    return None if moment is None else iso(moment)


class MakeKey(msgspec.Struct, forbid_unknown_fields=True):
    """A key to be made. `apps` None: any; `expires_in` seconds, None: never; `priority` is the highest of its requests;
    `force` takes apps that the server does not know."""

    name: str
    scopes: list[str] = msgspec.field(default_factory=lambda: list(DEFAULT))
    apps: list[str] | None = None
    expires_in: float | None = None
    priority: Literal["normal", "low"] = "normal"
    force: bool = False


async def make_key(call: Call) -> Response:
    """Make a key; its secret is in this answer, and never again."""
    wanted = await call.json(MakeKey, hint="{'name': …, 'scopes': […]}")
    name = wanted.name.strip()
    if not (1 <= len(name) <= MOST_NAME and name.isprintable()):
        raise InvalidInput.field(["body", "name"], f"must have 1 to {MOST_NAME} printable characters")
    if unknown := set(wanted.scopes) - SCOPES.keys():
        raise InvalidInput.field(["body", "scopes"], f"no scope {', '.join(sorted(unknown))}; of {', '.join(SCOPES)}")
    if not wanted.scopes:
        raise InvalidInput.field(["body", "scopes"], f"a key without a scope opens nothing; of {', '.join(SCOPES)}")
    if wanted.apps is not None:
        _check_apps(wanted.apps, [] if wanted.force else list(await call.rooms.keys.known_apps()))
    expires_at = None
    if wanted.expires_in is not None:
        expires_at = call.rooms.clock.wall() + _seconds("expires_in", wanted.expires_in, SHORTEST)
    key_id, secret = await call.rooms.keys.create(
        name, scopes=wanted.scopes, apps=wanted.apps, expires_at=expires_at, priority=PRIORITIES[wanted.priority]
    )
    return answers.json(NewKey(key_id, secret, f"{key_id}:{secret}"), headers=_SECRET)


def _check_apps(names: list[str], known: list[str]) -> None:
    """Each is `owner/alias`, and one that is known, once there are any: a key for a misspelt app opens nothing.

    Raises:
        InvalidInput: naming the one that is not, and its nearest.
    """
    if not names:
        raise InvalidInput.field(["body", "apps"], "names no app; leave it out for a key of every app")
    for name in names:
        try:
            if parse_endpoint(name).app != name:
                raise ValueError(f"{name!r} names an endpoint; a key is for a whole app, owner/alias")
        except ValueError as error:
            raise InvalidInput.field(["body", "apps"], str(error)) from None
        if known and name not in known:
            near = get_close_matches(name, known, n=3, cutoff=0.4) or known[:5]
            wrong = (
                f"there is no app {name}; there are {', '.join(near)}. 'force' makes the key for one that is to come"
            )
            raise InvalidInput.field(["body", "apps"], wrong)


def _seconds(member: str, value: float, least: float) -> float:
    if not least <= value <= LONGEST:
        raise InvalidInput.field(["body", member], f"{value:g} is no number of seconds from {least:g} to {LONGEST:g}")
    return value


_SECRET = {"cache-control": "no-store"}


class Rotation(msgspec.Struct, forbid_unknown_fields=True):
    """`overlap`: for so many seconds the secret that the key had opens as well."""

    overlap: float = OVERLAP


async def rotate_key(call: Call) -> Response:
    """Give a key another secret, which is in this answer, and never again; the old one opens for a while, too.

    Raises:
        NotFound: there is no such key, or it opens nothing any more.
    """
    overlap = _seconds("overlap", (await call.json(Rotation, hint="{'overlap': 86400}")).overlap, 0.0)
    key_id = call.params["id"]
    secret = await call.rooms.keys.rotate(key_id, overlap)
    if secret is None:
        raise NotFound(f"there is no key {key_id} that opens anything")
    return answers.json(NewKey(key_id, secret, f"{key_id}:{secret}"), headers=_SECRET)


async def revoke_key(call: Call) -> Response:
    """End a key at once, and sign out whoever came with it.

    Raises:
        BadRequest: it is the key that is used for this.
        NotFound: there is no such key, or it is revoked already.
    """
    key_id = call.params["id"]
    if call.caller.key_id == key_id:
        raise BadRequest("this is the key that you use; revoke it with another, or by: pondage keys revoke")
    if not await call.rooms.keys.revoke(key_id):
        raise NotFound(f"there is no key {key_id}, or it is revoked already")
    await call.rooms.page_sessions.end_all(key_id)
    return answers.json({"revoked": key_id})
