"""API keys: an id and a secret, `id:secret`, shown once.

A secret is 256 random bits, so a salted SHA-256 protects it as well as a slow hash would: nobody can search that space.
Verification is in memory; `refresh` notices with one small read what another process (a command) changed. A key that is
rotated keeps its id, and with it its requests, files and usage; its old secret opens for a while beside the new one.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import secrets
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from pondage.clock import Clock
from pondage.database.folder import KEYED, mark_keyed
from pondage.database.interface import Cursor, Database
from pondage.telemetry import log
from pondage.wire.scopes import DEFAULT, SCOPES

_INSERT = """INSERT INTO api_keys (id, name, salt, hash, scopes, apps, created_at, expires_at, priority)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_ROTATE = """UPDATE api_keys SET old_salt = salt, old_hash = hash, old_until = :until, salt = :salt, hash = :hash,
  rotated_at = :now
WHERE id = :id AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :now) RETURNING id"""
_USED = "UPDATE api_keys SET used_at = ?, used_from = ? WHERE id = ? AND (used_at IS NULL OR used_at < ?)"
_REVOKE = "UPDATE api_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL RETURNING id"
_ALL = """SELECT id, name, scopes, apps, created_at, expires_at, revoked_at, priority, rotated_at, old_until, used_at,
  used_from, salt, hash, old_salt, old_hash
FROM api_keys ORDER BY created_at, id"""
_APPS = "SELECT name FROM apps ORDER BY name"
_GENERATION = "SELECT n FROM api_keys_generation"
_NEXT_GENERATION = "UPDATE api_keys_generation SET n = n + 1"


class KeyRecord(msgspec.Struct, frozen=True):
    """A key without its secret. Times are wall seconds; `apps` None: any app; `priority` is the highest that its
    requests may have; `old_until` is when the secret before the last rotation ends."""

    id: str
    name: str
    scopes: frozenset[str]
    apps: frozenset[str] | None
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    priority: int = 0
    rotated_at: float | None = None
    old_until: float | None = None
    used_at: float | None = None
    used_from: str | None = None

    def good(self, now: float) -> bool:
        """Whether it opens anything at the wall time `now`."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class _StoredKey(NamedTuple):
    """A key in memory, with its secrets as they are stored. A secret is a salt and a hash."""

    record: KeyRecord
    secret: tuple[bytes, bytes]
    old: tuple[bytes, bytes] | None

    def opens(self, secret: str, now: float) -> bool:
        """Whether the secret is its own."""
        if _is(self.secret, secret):
            return True
        until = self.record.old_until
        return self.old is not None and until is not None and now < until and _is(self.old, secret)


class KeyStore:
    """Keys in the database, and in memory as of the last `refresh`."""

    def __init__(self, database: Database, clock: Clock, folder: Path | None = None) -> None:
        self._database = database
        self._clock = clock
        self._folder = folder
        self._marked = self._told = False
        self._generation = -1
        self._records: dict[str, _StoredKey] = {}
        self._used: dict[str, tuple[float, str]] = {}
        """Keys that were used since it was written down last: when, and from where."""

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

    def known(self) -> dict[str, tuple[bool, float | None]]:
        """Of each key whether it is not revoked, and when it was rotated last; as of the last `refresh`."""
        records = (held.record for held in self._records.values())
        return {record.id: (record.revoked_at is None, record.rotated_at) for record in records}

    def names(self) -> dict[str, str]:
        """Each key's id and its name; as of the last `refresh`."""
        return {key_id: held.record.name for key_id, held in self._records.items()}

    async def create(
        self,
        name: str,
        *,
        scopes: Iterable[str] = DEFAULT,
        apps: Iterable[str] | None = None,
        expires_at: float | None = None,
        priority: int = 0,
    ) -> tuple[str, str]:
        """Make a key; returns its id and its secret, which is never shown again.

        Args:
            name: for people: whose key it is.
            priority: the highest that its requests may have: 0 normal, 1 low.

        Raises:
            ValueError: a scope is none of `pondage.wire.scopes`, or there is none.
        """
        wanted = frozenset(scopes)
        if unknown := wanted - SCOPES.keys():
            raise ValueError(f"no scope {', '.join(sorted(unknown))}; there are {', '.join(SCOPES)}")
        if not wanted:
            raise ValueError(f"a key without a scope opens nothing; there are {', '.join(SCOPES)}")
        key_id, (secret, salt, digest) = secrets.token_hex(8), _new_secret()
        only = None if apps is None else ",".join(sorted(apps))
        now = self._clock.wall()
        row = (key_id, name, salt, digest, ",".join(sorted(wanted)), only, now, expires_at, priority)

        def insert(cursor: Cursor) -> None:
            cursor.execute(_INSERT, row)
            cursor.execute(_NEXT_GENERATION)

        await self._database.write(insert)
        await self.refresh()
        return key_id, secret

    async def rotate(self, key_id: str, overlap: float) -> str | None:
        """Give a key another secret; returns it, or None where there is no such key, or it opens nothing any more.

        Args:
            overlap: for so many seconds the secret that it had opens as well. One that it had before that ends now.
        """
        secret, salt, digest = _new_secret()
        now = self._clock.wall()
        asked = {"id": key_id, "salt": salt, "hash": digest, "now": now, "until": now + overlap}

        def rotate(cursor: Cursor) -> bool:
            if not list(cursor.execute(_ROTATE, asked)):
                return False
            cursor.execute(_NEXT_GENERATION)
            return True

        done = await self._database.write(rotate)
        await self.refresh()
        return secret if done else None

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
        """All keys, also revoked ones, oldest first, with when and from where they were used last."""
        await self.refresh()
        rows = await self._database.read(lambda cursor: list(cursor.execute(_ALL)))
        return [self._fresh(_record(row)) for row in rows]

    def _fresh(self, record: KeyRecord) -> KeyRecord:
        """With a use that is not written down yet."""
        if (used := self._used.get(record.id)) is None:
            return record
        return replace(record, used_at=used[0], used_from=used[1])

    def verify(self, key_id: str, secret: str) -> KeyRecord | None:
        """The key, if the secret is its own and it is neither revoked nor expired."""
        held = self._records.get(key_id)
        if held is None:
            # The same work as for a known id, so that the time says nothing about which ids there are.
            _is((b"", bytes(32)), secret)
            return None
        now = self._clock.wall()
        return held.record if held.opens(secret, now) and held.record.good(now) else None

    def get(self, key_id: str) -> KeyRecord | None:
        """A key that is neither revoked nor expired, by its id: what a short-lived token stands on."""
        held = self._records.get(key_id)
        return held.record if held is not None and held.record.good(self._clock.wall()) else None

    # ---- when they are used

    @property
    def used(self) -> Container[str]:
        """The keys of which a use was noted since uses were written down last. Cheap: each call looks."""
        return self._used

    def note_use(self, key_id: str, address: str) -> None:
        """A key is used, from this address."""
        self._used[key_id] = (self._clock.wall(), address)

    async def write_uses(self) -> None:
        """Write down which keys were used."""
        used, self._used = self._used, {}
        rows = [(at, address, key_id, at) for key_id, (at, address) in used.items()]
        if not rows:
            return
        try:
            await self._database.write(lambda cursor: _all(cursor, rows), lazy=True)
        except BaseException:
            self._used = {**used, **self._used}
            raise

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
            self._records = {row[0]: _held(row) for row in rows}
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


def _all(cursor: Cursor, rows: Iterable[tuple[Any, ...]]) -> None:
    for row in rows:
        cursor.execute(_USED, row)


def _held(row: tuple[Any, ...]) -> _StoredKey:
    salt, digest, old_salt, old_digest = row[-4:]
    return _StoredKey(_record(row), (salt, digest), None if old_salt is None else (old_salt, old_digest))


def _record(row: tuple[Any, ...]) -> KeyRecord:
    key_id, name, scopes, apps, *times_and_more = row[:-4]
    only = None if apps is None else frozenset(app for app in apps.split(",") if app)
    return KeyRecord(key_id, name, frozenset(scopes.split(",")), only, *times_and_more)


def _new_secret() -> tuple[str, bytes, bytes]:
    """A secret, and the salt and the hash that are kept of it."""
    secret, salt = secrets.token_urlsafe(32), os.urandom(16)
    return secret, salt, _hash(salt, secret)


def _is(kept: tuple[bytes, bytes], secret: str) -> bool:
    salt, digest = kept
    return hmac.compare_digest(_hash(salt, secret), digest)


def _hash(salt: bytes, secret: str) -> bytes:
    return hashlib.sha256(salt + secret.encode("utf-8", "surrogateescape")).digest()
