"""The sender's keys: made at first start, kept in the database, changed with an overlap.

An Ed25519 key is published at once but signs only when every receiver has had time to see it (receivers keep the JWKS
for a day, PROTOCOL 8); the old one stays published until it has signed nothing for an hour. A secret needs no such
wait: while both are in use, each delivery carries a signature of each.
"""

from __future__ import annotations

import os

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pondage.clock import Clock
from pondage.database.interface import Cursor, Database
from pondage.errors import BadRequest
from pondage.webhooks.outbox import SQL
from pondage.wire import signing
from pondage.wire.ids import new_request_id

JWKS_MAX_AGE = 86_400.0
"""Seconds for which receivers may keep a JWKS document (PROTOCOL 8)."""
AFTERGLOW = 3600.0
"""Seconds for which an Ed25519 key stays published after its last signature."""
SECRET_OVERLAP = 7 * 86_400.0
"""Seconds for which an old secret still signs beside the new one."""


class Key(msgspec.Struct, frozen=True):
    """One key as stored. `private` is an Ed25519 seed, or a secret's bytes; times are wall seconds."""

    id: str
    kind: str
    target: str
    private: bytes
    created_at: float
    signs_from: float
    retires_at: float | None

    def lives(self, now: float) -> bool:
        return self.retires_at is None or self.retires_at > now


class Keys:
    """All keys, in memory; `open` reads them and makes the first ones."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._keys: list[Key] = []
        self._signers: dict[str, Ed25519PrivateKey] = {}

    async def open(self) -> None:
        """Read the keys, forget retired ones, make what is missing."""
        now = self._clock.wall()
        first = [self._new("ed25519", "", now), self._new("secret", "", now)]

        def operation(cursor: Cursor) -> list[Key]:
            cursor.execute(SQL["forget_keys"], (now,))
            there = {(row[1], row[2]) for row in cursor.execute(SQL["keys"])}
            for key in first:
                if (key.kind, key.target) not in there:
                    cursor.execute(SQL["put_key"], msgspec.structs.astuple(key))
            return [Key(*row) for row in cursor.execute(SQL["keys"])]

        self._take(await self._database.write(operation))

    def sign(self, message: bytes) -> bytes:
        """Ed25519 with the newest key that every receiver can know."""
        now = self._clock.wall()
        ready = [key for key in self._keys if key.kind == "ed25519" and key.signs_from <= now and key.lives(now)]
        # After a jump of the clock back none may be ready; then the oldest is the one that receivers know.
        key = ready[-1] if ready else next(key for key in self._keys if key.kind == "ed25519")
        return self._signers[key.id].sign(message)

    def secrets(self, origin: str) -> list[bytes]:
        """The secrets that sign for a target's origin, newest first: its own, else the default ones."""
        now = self._clock.wall()
        living = [key for key in reversed(self._keys) if key.kind == "secret" and key.lives(now)]
        own = [key.private for key in living if key.target == origin]
        return own or [key.private for key in living if key.target == ""]

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The JWKS document: every Ed25519 key that signs, has just signed, or is about to."""
        now = self._clock.wall()
        living = [key for key in self._keys if key.kind == "ed25519" and key.lives(now)]
        return {"keys": [signing.jwk(self._signers[key.id].public_key().public_bytes_raw(), key.id) for key in living]}

    async def rotate(self, kind: str, *, target: str = "", at_once: bool = False) -> Key:
        """Make a new key of a kind (`ed25519`, `secret`), and retire its elders after the overlap.

        Args:
            target: the origin that a secret is for; empty for the default one. A target's first secret is made so.
            at_once: no overlap: the old key is not to be trusted any more.

        Raises:
            BadRequest: there is no such kind, or a target was given with `ed25519`.
        """
        if kind not in ("ed25519", "secret") or (target and kind == "ed25519"):
            raise BadRequest("kind is ed25519, or secret with or without a target")
        now = self._clock.wall()
        wait = JWKS_MAX_AGE if kind == "ed25519" and not at_once else 0.0
        key = self._new(kind, target, now, signs_from=now + wait)
        retires = now if at_once else now + (wait + AFTERGLOW if kind == "ed25519" else SECRET_OVERLAP)

        def operation(cursor: Cursor) -> list[Key]:
            cursor.execute(SQL["put_key"], msgspec.structs.astuple(key))
            cursor.execute(SQL["retire_keys"], (retires, kind, target, key.id, retires))
            cursor.execute(SQL["forget_keys"], (now,))
            return [Key(*row) for row in cursor.execute(SQL["keys"])]

        self._take(await self._database.write(operation))
        return key

    def _new(self, kind: str, target: str, now: float, *, signs_from: float | None = None) -> Key:
        # 32 bytes are an Ed25519 seed, and as much as HMAC-SHA256 can use.
        return Key(new_request_id(), kind, target, os.urandom(32), now, now if signs_from is None else signs_from, None)

    def _take(self, keys: list[Key]) -> None:
        self._keys = keys
        self._signers = {
            key.id: Ed25519PrivateKey.from_private_bytes(key.private) for key in keys if key.kind == "ed25519"
        }
