"""Media types with a stand-in for the runner's files."""

from __future__ import annotations

import base64
import gzip
import io
import resource
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import PIL.Image
import pydantic
import pytest

import pondage
from pondage.app import archive
from pondage.app.context import RequestContext, _current
from pondage.app.media import (
    Audio,
    CompressedFile,
    File,
    Image,
    ImageSize,
    ImageSizeInput,
    MediaError,
    Video,
    get_image_size,
    prepare,
)


class Sink:
    cancelled = False

    def log(self, level: str, message: str) -> None: ...

    def progress(self, step: float, total: float | None, message: str) -> None: ...


class Files:
    """`FileAccess` in a folder; `https://files.example/…` are the files that were put."""

    max_image_pixels = 178_956_970
    max_image_bytes = 512 * 1024 * 1024

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fetched: list[str] = []

    def put(self, data: bytes | Path, *, content_type: str, file_name: str) -> tuple[str, int]:
        whole = data if isinstance(data, bytes) else data.read_bytes()
        (self.folder / file_name).write_bytes(whole)
        return f"https://files.example/{file_name}", len(whole)

    def fetch(self, url: str, *, max_bytes: int | None = None) -> tuple[Path, str]:
        self.fetched.append(url)
        if url.startswith("data:"):
            path = self.folder / f"data{len(self.fetched)}"
            path.write_bytes(base64.b64decode(url.partition(",")[2]))
            return path, "application/octet-stream"
        path = self.folder / url.rpartition("/")[2]
        if not path.exists():
            raise ValueError(f"{url}: it answered 404")
        return path, "application/octet-stream"


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    made = Files(tmp_path)
    context = RequestContext(
        request_id="r", attempt=1, endpoint="a/b", headers={}, deadline=None, sink=Sink(), files=made
    )
    token = _current.set(context)
    yield made
    _current.reset(token)


def png(width: int = 3, height: int = 2, **options: Any) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (width, height), (255, 0, 0)).save(buffer, "PNG", **options)
    return buffer.getvalue()


def data_uri(data: bytes, type: str = "image/png") -> str:
    return f"data:{type};base64,{base64.b64encode(data).decode()}"


PNG = data_uri(png())


# ---- outputs


def test_an_image_is_stored_when_it_is_made(files: Files) -> None:
    image = pondage.Image.from_pil(PIL.Image.new("RGBA", (30, 20)))
    assert image.model_dump() == {
        "url": "https://files.example/image.png",
        "content_type": "image/png",
        "file_name": "image.png",
        "file_size": (files.folder / "image.png").stat().st_size,
        "width": 30,
        "height": 20,
    }
    jpeg = Image.from_pil(PIL.Image.new("RGBA", (30, 20)), format="jpg", file_name="x.jpg")
    assert (jpeg.content_type, jpeg.url) == ("image/jpeg", "https://files.example/x.jpg")


@pytest.mark.parametrize(
    ("shape", "dtype", "mode"),
    [((4, 5), "uint8", "L"), ((4, 5, 1), "float32", "L"), ((4, 5, 3), "float64", "RGB"), ((4, 5, 4), "uint8", "RGBA"),
     ((4, 5), "bool", "L")],
)  # fmt: skip
def test_arrays_become_pictures(files: Files, shape: tuple[int, ...], dtype: str, mode: str) -> None:
    image = Image.from_numpy(numpy.ones(shape, dtype))
    assert (image.width, image.height) == (5, 4)
    stored = PIL.Image.open(files.folder / "image.png")
    assert stored.mode == mode
    assert numpy.asarray(stored).max() == (255 if dtype != "uint8" else 1)


def test_arrays_that_are_no_pictures_are_refused(files: Files) -> None:
    for shape in ((3,), (2, 3, 5), (1, 2, 3, 3)):
        with pytest.raises(ValueError, match="shape"):
            Image.from_numpy(numpy.zeros(shape))


def test_bytes_and_paths(files: Files, tmp_path: Path) -> None:
    image = Image.from_bytes(png())
    assert (image.content_type, image.width, image.height) == ("image/png", 3, 2)
    assert Image.from_bytes(b"no picture", "webp").width is None
    path = tmp_path / "sound.wav"
    path.write_bytes(b"RIFF\0\0\0\0WAVE")
    audio = Audio.from_path(path)
    assert (audio.url, audio.file_size) == ("https://files.example/sound.wav", 12)
    assert File.from_bytes(b"%PDF-1").content_type == "application/pdf"
    with pytest.raises(FileNotFoundError):
        Video.from_path(tmp_path / "none")


def test_sync_mode_is_a_data_uri(files: Files) -> None:
    for image in (
        Image.from_bytes(png(), sync_mode=True),
        Image.from_bytes(png(), repository="in_memory"),
        Image.from_pil(PIL.Image.new("RGB", (3, 2)), sync_mode=True),
    ):
        assert image.url.startswith("data:image/png;base64,")
    assert list(files.folder.iterdir()) == []


def test_without_a_request_there_is_no_storage() -> None:
    image = Image.from_bytes(png())
    assert image.url == data_uri(png())
    assert Image(url=image.url).to_pil().size == (3, 2)


# ---- inputs


class Input(pydantic.BaseModel):
    image: Image
    more: list[Image] = []
    sound: Audio | None = None
    named: dict[str, File] = {}


def test_an_input_is_an_object_a_url_or_a_data_uri(files: Files) -> None:
    (files.folder / "a.png").write_bytes(png(7, 8))
    for value in (
        {"url": "https://files.example/a.png", "content_type": "image/jpeg", "unknown": 1},
        "https://files.example/a.png",
        data_uri(png(7, 8)),
    ):
        given = Input.model_validate({"image": value})
        prepare({"input": given}, whole="input")
        assert (given.image.width, given.image.height, given.image.content_type) == (7, 8, "image/png")
        assert given.image.to_pil().getpixel((0, 0)) == (255, 0, 0)
        assert given.image.to_numpy().shape == (8, 7, 3)
        assert given.image.as_bytes() == png(7, 8)


@pytest.mark.parametrize("url", ["ftp://a/b", "file:///etc/passwd", "", "a.png", "https://a/" + "x" * 2**21])
def test_urls_that_cannot_be_are_422(url: str) -> None:
    with pytest.raises(pydantic.ValidationError):
        Image.model_validate(url)


def test_media_are_fetched_once(files: Files) -> None:
    (files.folder / "a.png").write_bytes(png())
    given = Input.model_validate({"image": "https://files.example/a.png"})
    prepare({"input": given})
    given.image.to_pil()
    assert files.fetched == ["https://files.example/a.png"]


@pytest.mark.parametrize(
    ("given", "loc", "type"),
    [
        ({"image": "https://files.example/none.png"}, ["body", "image"], "file_download_error"),
        ({"image": data_uri(b"<html>")}, ["body", "image"], "image_load_error"),
        ({"image": PNG, "more": [PNG, data_uri(b"x")]}, ["body", "more", 1], "image_load_error"),
        ({"image": PNG, "sound": PNG}, ["body", "sound"], "unsupported_audio_format"),
        ({"image": PNG, "named": {"k": "https://x.example/y"}}, ["body", "named", "k"], "file_download_error"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(
    files: Files, given: dict[str, Any], loc: list[str | int], type: str
) -> None:
    parsed = Input.model_validate(given)
    with pytest.raises(MediaError) as caught:
        prepare({"input": parsed}, whole="input")
    (entry,) = caught.value.entries()
    assert (entry["loc"], entry["type"], caught.value.status_code) == (loc, type, 422)
    with pytest.raises(MediaError) as caught:
        prepare({"input": Input.model_validate(given)})
    assert caught.value.entries()[0]["loc"] == ["body", "input", *loc[1:]]


def test_a_pixel_bomb_is_refused_before_it_is_decoded(files: Files) -> None:
    bomb = bytearray(png())
    bomb[16:24] = (60_000).to_bytes(4) * 2
    import zlib

    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4)
    with pytest.raises(MediaError, match="at most") as caught:
        prepare({"image": Image(url=data_uri(bytes(bomb)))})
    assert caught.value.type == "image_too_large"


def test_the_server_s_limit_of_pixels_holds_for_every_picture(files: Files) -> None:
    class Large(Image):
        max_pixels = 1_000_000

    files.max_image_pixels = 5
    with pytest.raises(MediaError, match="3x2 pixels; at most 5") as caught:
        prepare({"image": Large(url=PNG)})
    assert caught.value.type == "image_too_large"


def test_an_author_sets_limits_by_a_subclass(files: Files) -> None:
    class Small(Image):
        max_bytes = 1000
        max_pixels = 100
        min_side = 4

    for size, type in (((11, 10), "image_too_large"), ((3, 10), "image_too_small")):
        with pytest.raises(MediaError) as caught:
            prepare({"image": Small(url=data_uri(png(*size)))})
        assert caught.value.type == type
    with pytest.raises(MediaError) as caught:
        prepare({"image": Small(url=data_uri(png() + bytes(1000)))})
    assert caught.value.type == "file_too_large"
    prepare({"image": Small(url=data_uri(png(10, 10)))})


def test_a_picture_that_ends_in_the_middle_is_refused_when_it_is_decoded(files: Files) -> None:
    buffer = io.BytesIO()
    PIL.Image.effect_noise((100, 100), 50).save(buffer, "PNG")
    image = Image(url=data_uri(buffer.getvalue()[:2000]))
    with pytest.raises(MediaError) as caught:
        image.to_pil()
    assert caught.value.type == "image_load_error"


def test_a_file_is_saved(files: Files, tmp_path: Path) -> None:
    file = File(url=data_uri(b"bytes", "text/plain"))
    target = tmp_path / "sub" / "x"
    assert file.save(target).read_bytes() == b"bytes"
    with pytest.raises(FileExistsError):
        file.save(target)
    file.save(target, overwrite=True)


# ---- archives


def zipped(members: dict[str, bytes]) -> str:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return data_uri(buffer.getvalue(), "application/zip")


def test_an_archive_is_iterated_over(files: Files) -> None:
    given = CompressedFile(url=zipped({"b.txt": b"2", "sub/a.txt": b"1"}))
    assert [p.read_bytes() for p in given] == [b"2", b"1"]
    assert [p.name for p in given.glob("*.txt")] == ["b.txt"]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo("x")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"tar"))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    assert [p.read_bytes() for p in CompressedFile(url=data_uri(buffer.getvalue()))] == [b"tar"]


@pytest.mark.parametrize("name", ["../up", "/etc/x", "a/../../up", "..\\up"])
def test_an_archive_leads_nowhere_else(files: Files, name: str) -> None:
    with pytest.raises(MediaError) as caught:
        list(CompressedFile(url=zipped({name: b"x"})))
    assert caught.value.type == "invalid_archive"


def test_an_archive_that_would_fill_the_disk_is_refused(files: Files) -> None:
    class Little(CompressedFile):
        max_unpacked = 1000

    with pytest.raises(MediaError) as caught:
        list(Little(url=zipped({"x": bytes(1001)})))
    assert caught.value.type == "file_too_large"
    with pytest.raises(MediaError) as caught:
        list(CompressedFile(url=data_uri(b"PK\x03\x04broken")))
    assert caught.value.type == "invalid_archive"


def test_a_small_archive_takes_no_memory_of_ours(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """One read of either makes hundreds of megabytes, whatever was asked for."""
    monkeypatch.setattr(archive, "MAX_MEMORY", 128 * 1024 * 1024)
    bombs = [io.BytesIO(), io.BytesIO()]
    with zipfile.ZipFile(bombs[0], "w", zipfile.ZIP_BZIP2) as written, written.open("zeros", "w") as member:
        for _ in range(200):
            member.write(bytes(1024 * 1024))
    head = tarfile.TarInfo("x")
    head.type, head.size = tarfile.XHDTYPE, 200 * 1024 * 1024
    with gzip.open(bombs[1], "wb", compresslevel=1) as file:
        file.write(head.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(200):
            file.write(bytes(1024 * 1024))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for bomb in bombs:
        with pytest.raises(MediaError) as caught:
            list(CompressedFile(url=data_uri(bomb.getvalue())))
        assert (caught.value.type, str(caught.value)) == (
            "file_too_large",
            "input: the archive unpacks to too much at once",
        )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # kilobytes


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("while True: pass", "more than 1 seconds"),
        ("import time; time.sleep(60)", "more than 1 seconds"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "too much at once"),
        ("import resource, signal; signal.raise_signal(signal.SIGXCPU)", "more than 1 seconds"),
    ],
)
def test_unpacking_ends(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, says: str) -> None:
    (tmp_path / "unpack.py").write_text(program)
    monkeypatch.setattr(archive, "unpack", SimpleNamespace(__file__=str(tmp_path / "unpack.py")))
    monkeypatch.setattr(archive, "MAX_SECONDS", 1)
    with pytest.raises(MediaError, match=says):
        list(CompressedFile(url=zipped({"a": b"1"})))


def test_folders_count_as_files_do(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 50)
    with pytest.raises(MediaError, match="more than 50 files"):
        list(CompressedFile(url=zipped({"/".join("abcdefghij" * 6): b"x"})))
    assert len(list(CompressedFile(url=zipped({f"folder/{n}": b"x" for n in range(48)})))) == 48


def test_errors_of_archives_name_no_place_of_ours(files: Files) -> None:
    with pytest.raises(MediaError, match="cannot be unpacked") as caught:
        list(CompressedFile(url=zipped({"a": b"x", "a/b": b"y"})))
    assert str(files.folder) not in str(caught.value) and "pondage-archive" not in str(caught.value)


def test_a_zip_behind_a_program_is_one(files: Files) -> None:
    plain = base64.b64decode(zipped({"a.txt": b"x"}).partition(",")[2])
    assert [p.name for p in CompressedFile(url=data_uri(b"MZ program " * 50 + plain))] == ["a.txt"]
    with pytest.raises(MediaError) as caught:
        prepare({"file": CompressedFile(url=data_uri(b"MZ program"))})
    assert caught.value.type == "unsupported_archive_format"


# ---- sizes


def test_sizes_by_name_and_by_number() -> None:
    adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(ImageSizeInput)
    assert get_image_size(adapter.validate_python("portrait_16_9")) == ImageSize(width=576, height=1024)
    assert get_image_size(adapter.validate_python({"width": 5, "height": 6})) == ImageSize(width=5, height=6)
    for wrong in ("huge", {"width": 0, "height": 5}, {"width": 99999}):
        with pytest.raises(pydantic.ValidationError):
            adapter.validate_python(wrong)
    with pytest.raises(TypeError):
        get_image_size("huge")  # type: ignore[arg-type]


def test_the_toolkit_carries_fal_s_names() -> None:
    from pondage import toolkit
    from pondage.toolkit import audio, compressed, file, image, video

    assert toolkit.Image is image.Image is pondage.Image
    assert (file.File, audio.Audio, video.Video) == (File, Audio, Video)
    assert compressed.CompressedFile is CompressedFile
