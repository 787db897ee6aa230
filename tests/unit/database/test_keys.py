"""API keys: shown once, hashed, expiring, revoked, seen across processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pondage.clock import ManualClock
from pondage.database import keys
from pondage.database.folder import KEYED
from pondage.database.keys import KeyStore
from pondage.database.sqlite import SqliteDatabase

pytestmark = pytest.mark.anyio


async def test_a_key_opens_with_its_secret_only(database: SqliteDatabase) -> None:
    store = await KeyStore.open(database, ManualClock())
    assert not store.any
    key_id, secret = await store.create("ci", scopes=["submit", "read"], apps=["acme/flux"])
    other_id, other_secret = await store.create("other")
    record = store.verify(key_id, secret)
    assert record is not None and store.any
    assert (record.name, record.scopes, record.apps) == ("ci", {"submit", "read"}, {"acme/flux"})
    assert store.verify(key_id, other_secret) is None
    assert store.verify(other_id, secret) is None
    assert store.verify("nobody", secret) is None
    assert store.verify(key_id, "") is None
    assert store.verify(key_id, "\udcff") is None
    assert secret not in (await database.read(lambda c: repr(c.execute("SELECT * FROM api_keys").fetchall())))


async def test_a_key_expires(database: SqliteDatabase) -> None:
    clock = ManualClock()
    store = await KeyStore.open(database, clock)
    key_id, secret = await store.create("short", expires_at=clock.wall() + 10)
    assert store.verify(key_id, secret) is not None
    clock.advance(10)
    assert store.verify(key_id, secret) is None


async def test_a_revoked_key_is_closed(database: SqliteDatabase) -> None:
    store = await KeyStore.open(database, ManualClock())
    key_id, secret = await store.create("ci")
    assert await store.revoke(key_id)
    assert not await store.revoke(key_id)
    assert not await store.revoke("nobody")
    assert store.verify(key_id, secret) is None
    assert store.any
    assert [record.revoked_at is None for record in await store.list()] == [False]


async def test_a_key_has_what_a_caller_needs_unless_more_is_said(database: SqliteDatabase) -> None:
    store = await KeyStore.open(database, ManualClock())
    key_id, _ = await store.create("ci")
    record = store.get(key_id)
    assert record is not None and (record.scopes, record.apps) == ({"submit", "read", "files"}, None)
    with pytest.raises(ValueError, match="a key without a scope opens nothing"):
        await store.create("ci", scopes=[])


async def test_the_first_key_is_noted_beside_the_database_as_soon_as_the_disk_takes_it(
    database: SqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    store = await KeyStore.open(database, ManualClock(), tmp_path)
    assert not (tmp_path / KEYED).exists()
    with monkeypatch.context() as patched:
        patched.setattr(keys, "mark_keyed", full)
        key_id, secret = await store.create("ci")  # and it is shown, though the note could not be made
        assert store.verify(key_id, secret) is not None and not (tmp_path / KEYED).exists()
    assert not await store.refresh() and (tmp_path / KEYED).is_file()


async def test_an_unknown_scope_is_refused(database: SqliteDatabase) -> None:
    store = await KeyStore.open(database, ManualClock())
    with pytest.raises(ValueError, match="no scope root"):
        await store.create("ci", scopes=["root"])


async def test_what_another_process_changed_is_seen(database: SqliteDatabase) -> None:
    server = await KeyStore.open(database, ManualClock())
    folder: Path = database.path.parent
    beside = await SqliteDatabase.attach(folder)
    command = await KeyStore.open(beside, ManualClock())
    key_id, secret = await command.create("from the command")
    assert server.verify(key_id, secret) is None
    assert await server.refresh()
    assert not await server.refresh()
    assert server.verify(key_id, secret) is not None
    await command.revoke(key_id)
    await server.refresh()
    assert server.verify(key_id, secret) is None
    await beside.close()
