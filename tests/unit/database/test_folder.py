"""The data folder is its owner's alone, or it is said that it is not."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

import pytest

from pondage.database.folder import DATABASE, FolderLock


def mode(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("pondage"), "propagate", True)
    caplog.set_level(logging.INFO, "pondage.server")
    return caplog


@pytest.mark.parametrize("before", [0o755, 0o775, 0o750, 0o2770])
def test_a_folder_of_ours_is_closed_to_others(tmp_path: Path, said: pytest.LogCaptureFixture, before: int) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / DATABASE).touch()
    (folder / "files").mkdir()
    folder.chmod(before)
    FolderLock(folder).release()
    assert mode(folder) == before & ~0o077
    assert f"(mode {before:04o})" in said.text and "alone now" in said.text


def test_a_folder_that_is_closed_is_left_alone(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "data"
    FolderLock(folder).release()
    FolderLock(folder).release()
    assert mode(folder) == 0o700
    assert said.text == ""


@pytest.mark.parametrize("before", [0o755, 0o1777])
def test_a_folder_with_what_is_not_ours_stays_and_it_is_said(
    tmp_path: Path, said: pytest.LogCaptureFixture, before: int
) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "photos").mkdir()
    if before & stat.S_ISVTX:
        (folder / DATABASE).touch()
    folder.chmod(before)
    FolderLock(folder).release()
    assert mode(folder) == before
    assert "is open to other users" in said.text and "stays so" in said.text
