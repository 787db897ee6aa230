"""API keys: shown once, hashed, expiring, revoked, seen across processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pondage import keys
from pondage.clock import ManualClock
from pondage.database.folder import KEYED
from pondage.database.sqlite import SqliteDatabase
from pondage.keys import KeyStore

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    database = await SqliteDatabase.open(tmp_path)
    yield database
    await database.close()


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


async def test_a_rotated_key_has_two_secrets_for_a_while(database: SqliteDatabase) -> None:
    clock = ManualClock()
    store = await KeyStore.open(database, clock)
    key_id, first = await store.create("ci", apps=["acme/flux"])
    second = await store.rotate(key_id, 60.0)
    assert second is not None and second != first
    record = store.verify(key_id, first)
    assert record is not None and record == store.verify(key_id, second)
    assert (record.apps, record.rotated_at, record.old_until) == ({"acme/flux"}, clock.wall(), clock.wall() + 60)
    elsewhere = await KeyStore.open(database, clock)
    assert elsewhere.verify(key_id, first) and elsewhere.verify(key_id, second)
    clock.advance(60)
    assert store.verify(key_id, first) is None and store.verify(key_id, second) is not None
    third = await store.rotate(key_id, 60.0)
    fourth = await store.rotate(key_id, 60.0)
    assert third is not None and fourth is not None
    opens = [store.verify(key_id, secret) is not None for secret in (second, third, fourth)]
    assert opens == [False, True, True], "one secret is kept beside the new one"
    fifth = await store.rotate(key_id, 0.0)
    assert fifth is not None and store.verify(key_id, fourth) is None, "without an overlap"


async def test_what_opens_nothing_is_not_rotated(database: SqliteDatabase) -> None:
    clock = ManualClock()
    store = await KeyStore.open(database, clock)
    revoked, _ = await store.create("revoked")
    expired, _ = await store.create("expired", expires_at=clock.wall() + 1)
    await store.revoke(revoked)
    clock.advance(2)
    for key_id in (revoked, expired, "nobody"):
        assert await store.rotate(key_id, 60.0) is None
    good, first = await store.create("good")
    await store.rotate(good, 60.0)
    await store.revoke(good)
    assert store.verify(good, first) is None, "a revoked key ends with both of its secrets"


async def test_when_a_key_was_used_is_written_down_and_never_goes_back(database: SqliteDatabase) -> None:
    clock = ManualClock()
    store = await KeyStore.open(database, clock)
    key_id, _ = await store.create("ci", priority=1)
    (before,) = await store.list()
    assert (before.used_at, before.used_from, before.priority) == (None, None, 1)
    assert key_id not in store.used
    store.note_use(key_id, "192.0.2.1")
    assert key_id in store.used
    (noted,) = await store.list()
    assert (noted.used_at, noted.used_from) == (clock.wall(), "192.0.2.1"), "also before it is written"
    await store.write_uses()
    assert key_id not in store.used
    (other,) = await (await KeyStore.open(database, clock)).list()
    assert other == noted
    clock.jump(-100.0)
    store.note_use(key_id, "192.0.2.2")
    await store.write_uses()
    assert (await store.list()) == [noted], "a clock that was set back takes nothing back"
