"""Who is signed in on the pages, and the links by which one signs in: only hashes of their secrets are kept.

Sessions lie in memory as well, so that a call looks nothing up; they outlive a restart. A link is made by whoever may
write the data folder (`pondage serve`, `pondage open`), is good for minutes, and once.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from typing import NamedTuple

from pondage.clock import Clock
from pondage.database.interface import Cursor, Database
from pondage.errors import PondageError
from pondage.telemetry import log

LINK_SECONDS = 300.0
"""How long a link is good."""
SESSION_SECONDS = 12 * 3600.0
"""How long a session lasts from its last use on."""
_SLIDE = 600.0
"""A session's end is moved, and written, at most so often."""
MOST = 1000
"""Sessions that are kept; the one that ends first goes."""

PERSON = ""
"""The key id of who came by a link: whoever can write the data folder may do everything."""


class PageSession(NamedTuple):
    """One browser that is signed in: with which key, and until when. Times are wall seconds."""

    key_id: str
    created_at: float
    expires_at: float


class PageSessions:
    """Sessions and links, in the database and in memory."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._sessions: dict[bytes, PageSession] = {}
        self._writing: set[asyncio.Future[None]] = set()

    @classmethod
    async def open(cls, database: Database, clock: Clock) -> PageSessions:
        """The sessions as they stand."""
        store = cls(database, clock)
        await store._load()
        return store

    async def _load(self) -> None:
        def read(cursor: Cursor) -> dict[bytes, PageSession]:
            rows = cursor.execute("SELECT hash, key_id, created_at, expires_at FROM page_sessions")
            return {bytes(row[0]): PageSession(*row[1:]) for row in rows}

        self._sessions = await self._database.read(read)

    # ---- links

    async def link(self, key_id: str = PERSON) -> str:
        """Make the secret of a link that signs in once, as a key or as a person of this machine."""
        token = secrets.token_urlsafe(32)
        row = (_hash(token), key_id, self._clock.wall() + LINK_SECONDS)

        def insert(cursor: Cursor) -> None:
            cursor.execute("INSERT INTO page_links (hash, key_id, expires_at) VALUES (?, ?, ?)", row)

        await self._database.write(insert)
        return token

    async def redeem(self, token: str) -> str | None:
        """The key id that a link stands for; None where it is none, was used, or is too old. It is used up."""
        now, wanted = self._clock.wall(), _hash(token)

        def take(cursor: Cursor) -> str | None:
            found = list(
                cursor.execute("DELETE FROM page_links WHERE hash = ? RETURNING key_id, expires_at", (wanted,))
            )
            cursor.execute("DELETE FROM page_links WHERE expires_at <= ?", (now,))
            return found[0][0] if found and found[0][1] > now else None

        return await self._database.write(take)

    # ---- sessions

    async def begin(self, key_id: str) -> tuple[str, PageSession]:
        """Sign in: the secret for the browser's cookie, and the session."""
        secret, now = secrets.token_urlsafe(32), self._clock.wall()
        session = PageSession(key_id, now, now + SESSION_SECONDS)
        digest = _hash(secret)

        def insert(cursor: Cursor) -> None:
            cursor.execute("DELETE FROM page_sessions WHERE expires_at <= ?", (now,))
            cursor.execute("INSERT INTO page_sessions VALUES (?, ?, ?, ?)", (digest, *session))

        await self._database.write(insert)
        self._sessions = {name: one for name, one in self._sessions.items() if one.expires_at > now}
        self._sessions[digest] = session
        while len(self._sessions) > MOST:
            await self._drop(min(self._sessions, key=lambda name: self._sessions[name].expires_at))
        return secret, session

    def find(self, secret: str) -> PageSession | None:
        """The session of a cookie; using it moves its end."""
        digest = _hash(secret)
        session = self._sessions.get(digest)
        now = self._clock.wall()
        if session is None or session.expires_at <= now:
            return None
        if session.expires_at < now + SESSION_SECONDS - _SLIDE:
            session = self._sessions[digest] = session._replace(expires_at=now + SESSION_SECONDS)
            self._write(digest, session.expires_at)
        return session

    def _write(self, digest: bytes, expires_at: float) -> None:
        def update(cursor: Cursor) -> None:
            cursor.execute("UPDATE page_sessions SET expires_at = ? WHERE hash = ?", (expires_at, digest))

        writing = self._database.write(update, lazy=True)
        self._writing.add(writing)
        writing.add_done_callback(self._written)

    def _written(self, writing: asyncio.Future[None]) -> None:
        self._writing.discard(writing)
        if not writing.cancelled() and isinstance(error := writing.exception(), PondageError):
            log.warning("a session's new end is not kept: %s", error)

    async def end(self, secret: str) -> None:
        """Sign out."""
        await self._drop(_hash(secret))

    async def end_all(self, key_id: str | None = None) -> int:
        """Sign out every browser, or those of a key; how many there were."""
        found = [digest for digest, one in self._sessions.items() if key_id is None or one.key_id == key_id]
        for digest in found:
            await self._drop(digest)
        return len(found)

    async def _drop(self, digest: bytes) -> None:
        def delete(cursor: Cursor) -> None:
            cursor.execute("DELETE FROM page_sessions WHERE hash = ?", (digest,))

        await self._database.write(delete)
        self._sessions.pop(digest, None)

    def count(self) -> int:
        """How many browsers are signed in."""
        now = self._clock.wall()
        return sum(1 for one in self._sessions.values() if one.expires_at > now)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
