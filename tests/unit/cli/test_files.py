"""`pondage files`: put, list, get, rm; the bar, and what a stop leaves to go on from."""

from __future__ import annotations

import io
import re
import shlex
import sys
from pathlib import Path

import httpx2
import pytest

from pondage.cli import exits
from pondage.cli.failures import BadArguments
from pondage.cli.files import Drawn
from pondage.cli.saving import arriving, save_files
from pondage.client import SyncClient, limits
from pondage.testing import ServedApp

from .conftest import Pondage


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_file_from_put_to_rm(at: Pondage, tmp_path: Path) -> None:
    (tmp_path / "ä b.txt").write_bytes(b"some text")
    put = at("files", "put", "ä b.txt", "--expires", "1h")
    assert (put.code, put.err) == (exits.OK, "")
    url = put.out.strip()
    assert url.endswith("/%C3%A4%20b.txt")
    [file] = [file for file in at("files", "list", "--json").json["items"] if file["url"] == url]
    assert (file["file_name"], file["file_size"], file["content_type"]) == ("ä b.txt", 9, "text/plain")
    line = at("files", "list", "-n", "1").out.splitlines()[-1]
    assert "9 B" in line and "ä b.txt" in line
    (tmp_path / "to").mkdir()
    for name in (url, file["id"], file["id"][-8:], f"…{file['id'][-8:]}"):
        got = at("files", "get", name, "-o", "to", "--force")
        assert (got.code, got.out.strip()) == (exits.OK, "to/ä b.txt"), got.err
        assert (tmp_path / "to" / "ä b.txt").read_bytes() == b"some text"
    for place in ([], ["-o", "."], ["-o", "ä b.txt"], ["-o", "to"], ["-o", "to/ä b.txt"]):
        kept = at("files", "get", url, *place)
        assert kept.code == exits.BAD_INPUT and "exists" in kept.err and "--force" in kept.err, "nothing is overwritten"
    gone = at("files", "rm", url)
    assert gone.code == exits.OK and "deleted" in gone.out
    missing = at("files", "get", url, "-o", "again")
    assert missing.code != exits.OK and "no such file" in missing.err
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["ä b.txt", "ä b.txt"]


class Nothing:
    """A terminal that nobody looks at."""

    def say(self, text: str = "") -> None: ...


def test_the_files_of_a_result_replace_nothing(at: Pondage, echo: ServedApp, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"some text")
    url = at("files", "put", "a.txt", "--expires", "1h").out.strip()
    output = {"file": {"url": url, "content_type": "text/plain"}}
    with SyncClient(base_url=echo.url) as client:
        [saved] = save_files(client, output, tmp_path / "to", "x", Nothing())  # type: ignore[arg-type]
        saved.write_text("the user's own")
        with pytest.raises(BadArguments, match="exists"):
            save_files(client, output, tmp_path / "to", "x", Nothing())  # type: ignore[arg-type]
        assert saved.read_text() == "the user's own"
        save_files(client, output, tmp_path / "to", "x", Nothing(), force=True)  # type: ignore[arg-type]
    assert saved.read_bytes() == b"some text" and saved.name == "x-0.txt"
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["x-0.txt"]


def test_what_comes_meanwhile_is_not_replaced_either(tmp_path: Path) -> None:
    target = tmp_path / "a"
    with pytest.raises(BadArguments, match="exists"), arriving(target, force=False) as part:
        part.write_text("new")
        target.write_text("somebody else's")
    assert target.read_text() == "somebody else's" and list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("put", "nothing"), "there is no file nothing"), (("put", "."), "there is no file"),
        (("put", "a", "--expires", "soon"), "expires_in is one of"),
        (("put", "a", "--resume", "nonsense"), "no token of an upload"), (("get", "0123456789"), "no file ends in"),
        (("rm", "a file"), "neither a file's URL nor its id"),
    ],
)  # fmt: skip
def test_what_cannot_be(at: Pondage, tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    (tmp_path / "a").write_bytes(b"a")
    said = at("files", *arguments)
    assert (said.code, said.out) == (exits.BAD_INPUT, ""), said.err
    assert says in said.err


def test_the_bar_is_drawn_on_a_terminal_and_nowhere_else(
    at: Pondage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(2 * limits.UPLOAD_PIECE))
    assert at("files", "put", "a.bin").err == ""
    monkeypatch.setattr(sys, "stderr", Tty())
    assert at("files", "put", "a.bin").code == exits.OK
    drawn = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert re.findall(r"([\d.]+ .B) of", drawn) == ["262.1 KB", "524.3 KB"] and "a.bin" in drawn


def test_a_put_that_is_stopped_says_how_to_go_on(at: Pondage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MULTIPART_THRESHOLD", 100)
    monkeypatch.setattr(limits, "PART_SIZE", 64)
    data = bytes(range(250))
    (tmp_path / "it's big.bin").write_bytes(data)

    def stop(self: Drawn, done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with monkeypatch.context() as stopping:
        stopping.setattr(Drawn, "__call__", stop)
        stopped = at("files", "put", "it's big.bin")
    assert (stopped.code, stopped.out) == (exits.STOPPED, "")
    again = shlex.split(stopped.err.partition("what has arrived is kept: ")[2])
    assert again[:4] == ["pondage", "files", "put", "it's big.bin"] and '"parts":{"' in again[5]
    done = at(*again[1:])
    assert done.code == exits.OK, done.err
    assert httpx2.get(done.out.strip()).content == data
