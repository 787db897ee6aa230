"""Who starts drops what the dead were writing, and nothing of the living."""

from __future__ import annotations

from pathlib import Path

from pondage.files.incoming import Incoming


def test_a_gateway_that_starts_keeps_what_another_is_writing(tmp_path: Path) -> None:
    first = Incoming(tmp_path)
    first.open()
    under_way = first.path()
    under_way.write_bytes(b"half")
    second = Incoming(tmp_path)
    second.open()
    assert under_way.read_bytes() == b"half"
    assert second.path().name.partition("-")[0] != under_way.name.partition("-")[0]
    second.close()
    first.close()


def test_a_gateway_that_starts_drops_what_the_dead_have_left(tmp_path: Path) -> None:
    dead = Incoming(tmp_path)
    dead.open()
    dead.path().write_bytes(b"half")
    dead.close()  # as the system does with the lock of a killed process
    (tmp_path / "of-an-older-version").write_bytes(b"half")
    (tmp_path / "0123456789abcdef.lock").touch()
    alive = Incoming(tmp_path)
    alive.open()
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"], "its own lock is all that is left"
    alive.close()
    alive.close()
    assert list(tmp_path.iterdir()) == []
