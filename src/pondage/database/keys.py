"""API keys: an id and a secret, `id:secret`, shown once.

A secret is 256 random bits, so a salted SHA-256 protects it as well as a slow hash would: nobody can search that space.
Verification is in memory; `refresh` notices with one small read what another process (a command) changed.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from pondage.clock import Clock
from pondage.database.folder import KEYED, mark_keyed
from pondage.database.interface import Cursor, Database
from pondage.telemetry import log
from pondage.wire.scopes import DEFAULT, SCOPES

_INSERT = """INSERT INTO api_keys (id, name, salt, hash, scopes, apps, created_at, expires_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
_REVOKE = "UPDATE api_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL RETURNING id"
_ALL = """SELECT id, name, scopes, apps, created_at, expires_at, revoked_at, salt, hash
FROM api_keys ORDER BY created_at, id"""
_APPS = "SELECT name FROM apps ORDER BY name"
_GENERATION = "SELECT n FROM api_keys_generation"
_NEXT_GENERATION = "UPDATE api_keys_generation SET n = n + 1"


class KeyRecord(msgspec.Struct, frozen=True):
    """A key without its secret. Times are wall seconds; `apps` None: any app."""

    id: str
    name: str
    scopes: frozenset[str]
    apps: frozenset[str] | None
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None

    def good(self, now: float) -> bool:
        """Whether it opens anything at the wall time `now`."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class KeyStore:
    """Keys in the database, and in memory as of the last `refresh`."""

    def __init__(self, database: Database, clock: Clock, folder: Path | None = None) -> None:
        self._database = database
        self._clock = clock
        self._folder = folder
        self._marked = self._told = False
        self._generation = -1
        self._records: dict[str, tuple[KeyRecord, bytes, bytes]] = {}

    @classmethod
    async def open(cls, database: Database, clock: Clock, folder: Path | None = None) -> KeyStore:
        """The keys as they stand.

        Args:
            folder: the data folder, where a file notes that there are keys.
        """
        store = cls(database, clock, folder)
        await store.refresh()
        return store

    @property
    def any(self) -> bool:
        """Whether a key was ever made. Also a revoked or expired one closes the open door: it meant to."""
        return bool(self._records)

    def known(self) -> dict[str, bool]:
        """Each key's id, and whether it is not revoked; as of the last `refresh`."""
        return {key_id: record.revoked_at is None for key_id, (record, _, _) in self._records.items()}

    def names(self) -> dict[str, str]:
        """Each key's id and its name; as of the last `refresh`."""
        return {key_id: record.name for key_id, (record, _, _) in self._records.items()}

    async def create(
        self,
        name: str,
        *,
        scopes: Iterable[str] = DEFAULT,
        apps: Iterable[str] | None = None,
        expires_at: float | None = None,
    ) -> tuple[str, str]:
        """Make a key; returns its id and its secret, which is never shown again.

        Raises:
            ValueError: a scope is none of `pondage.wire.scopes`, or there is none.
        """
        wanted = frozenset(scopes)
        if unknown := wanted - SCOPES.keys():
            raise ValueError(f"no scope {', '.join(sorted(unknown))}; there are {', '.join(SCOPES)}")
        if not wanted:
            raise ValueError(f"a key without a scope opens nothing; there are {', '.join(SCOPES)}")
        key_id, secret, salt = secrets.token_hex(8), secrets.token_urlsafe(32), os.urandom(16)
        only = None if apps is None else ",".join(sorted(apps))
        now = self._clock.wall()
        row = (key_id, name, salt, _hash(salt, secret), ",".join(sorted(wanted)), only, now, expires_at)

        def insert(cursor: Cursor) -> None:
            cursor.execute(_INSERT, row)
            cursor.execute(_NEXT_GENERATION)

        await self._database.write(insert)
        await self.refresh()
        return key_id, secret

    async def known_apps(self) -> list[str]:
        """The apps that the data folder knows, for which a key can be made."""
        return await self._database.read(lambda cursor: [row[0] for row in cursor.execute(_APPS)])

    async def revoke(self, key_id: str) -> bool:
        """End a key at once; False where there is no such key, or it is revoked already."""
        now = self._clock.wall()

        def revoke(cursor: Cursor) -> bool:
            if not list(cursor.execute(_REVOKE, (now, key_id))):
                return False
            cursor.execute(_NEXT_GENERATION)
            return True

        done = await self._database.write(revoke)
        await self.refresh()
        return done

    async def list(self) -> list[KeyRecord]:
        """All keys, also revoked ones, oldest first."""
        await self.refresh()
        return [record for record, _, _ in self._records.values()]

    def verify(self, key_id: str, secret: str) -> KeyRecord | None:
        """The key, if the secret is its own and it is neither revoked nor expired."""
        found = self._records.get(key_id)
        if found is None:
            # The same work as for a known id, so that the time says nothing about which ids there are.
            hmac.compare_digest(_hash(b"", secret), bytes(32))
            return None
        record, salt, digest = found
        if not hmac.compare_digest(_hash(salt, secret), digest) or not record.good(self._clock.wall()):
            return None
        return record

    def get(self, key_id: str) -> KeyRecord | None:
        """A key that is neither revoked nor expired, by its id: what a short-lived token stands on."""
        found = self._records.get(key_id)
        return found[0] if found is not None and found[0].good(self._clock.wall()) else None

    async def refresh(self) -> bool:
        """Read the keys again if they changed; True if they did."""
        at = self._generation

        def read(cursor: Cursor) -> tuple[int, list[tuple[Any, ...]]]:
            (generation,) = next(iter(cursor.execute(_GENERATION)))
            return generation, [] if generation == at else list(cursor.execute(_ALL))

        generation, rows = await self._database.read(read)
        changed = generation > self._generation
        if changed:
            self._generation = generation
            self._records = {row[0]: (_record(row), row[7], row[8]) for row in rows}
        if self._folder is not None and self._records and not self._marked:
            await self._mark(self._folder)
        return changed

    async def _mark(self, folder: Path) -> None:
        """Note beside the database that there are keys. A disk that takes nothing just now hinders no key: the next
        look at the keys tries again."""
        try:
            await asyncio.to_thread(mark_keyed, folder)
            self._marked = True
        except OSError as error:
            if not self._told:
                log.warning("the file %s cannot be written yet: %s", folder / KEYED, error.strerror)
            self._told = True


def _record(row: tuple[Any, ...]) -> KeyRecord:
    key_id, name, scopes, apps, created_at, expires_at, revoked_at, _, _ = row
    only = None if apps is None else frozenset(app for app in apps.split(",") if app)
    return KeyRecord(key_id, name, frozenset(scopes.split(",")), only, created_at, expires_at, revoked_at)


def _hash(salt: bytes, secret: str) -> bytes:
    return hashlib.sha256(salt + secret.encode("utf-8", "surrogateescape")).digest()
