"""Names, types, lifecycle headers, ranges, signatures: pure."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pondage.errors import InvalidInput, RangeNotSatisfiable, Unauthorized
from pondage.files.interface import Lifecycle, file_ids
from pondage.files.names import clean_name, clean_type, id_of, path_of, read_lifecycle
from pondage.files.ranges import Span, http_date, parse_ranges, same_version, unmodified_since
from pondage.files.signing import Signer


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('"http://h/files/0123456789abcdef/a.png"', True), ('"http://h/files/0123456789abcdef"', True),
        ('"http://h/files/0123456789abcdef?token=1.x"', True),
        ('"http:\\/\\/h\\/files\\/0123456789abcdef\\/a.png"', True),
        ('"http://h\\u002ffiles\\u002F0123456789abcdef\\u002fa.png"', True), ('"http://h/files/short/a.png"', False),
        ('"my files/0123456789abcdef"', False), ("files/0123456789abcdef", False), ('"/files/' + "a" * 65 + '"', False),
    ],
)  # fmt: skip
def test_own_files_are_found_however_json_writes_a_slash(text: str, found: bool) -> None:
    assert file_ids(text.encode()) == (("0123456789abcdef",) if found else ())


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("a.png", "a.png"), ("../../etc/passwd", "passwd"), ("C:\\x\\y.txt", "y.txt"), ("dir/", "dir"), ("", "file"),
        ("..", "file"), (".", "file"), ("/", "file"), (" a ", "a"), ("ä ö", "ä ö"), ("a/..", "file"),
        ("x" * 300 + ".png", "x" * 251 + ".png"), ("ä" * 200, "ä" * 127),
    ],
)  # fmt: skip
def test_names_are_cut_to_their_last_segment(name: str, clean: str) -> None:
    assert clean_name(name) == clean


@given(st.text())
def test_a_name_is_always_one_good_segment(name: str) -> None:
    try:
        clean = clean_name(name)
    except InvalidInput:
        return
    assert clean not in {"", ".", ".."}
    assert "/" not in clean
    assert "\\" not in clean
    assert len(clean.encode()) <= 255
    assert id_of(path_of("0123456789abcdef", clean)) == "0123456789abcdef"
    assert file_ids(path_of("0123456789abcdef", clean).encode()) == ("0123456789abcdef",)


@pytest.mark.parametrize("text", ["a\0b", "a\nb", "\x7f", "\x85", "a\ud800"])
def test_control_characters_are_refused_everywhere(text: str) -> None:
    for check in (clean_name, clean_type):
        with pytest.raises(InvalidInput):
            check(text)
    with pytest.raises(InvalidInput):
        read_lifecycle(text)


@pytest.mark.parametrize("text", ["text/plain", "text/html; charset=utf-8", "image/svg+xml", "a/b;c=d"])
def test_types_are_kept_as_they_are_declared(text: str) -> None:
    assert clean_type(text) == text


@pytest.mark.parametrize("text", ["text", "/", "text/", "ä/b", "a b/c", "a/" + "b" * 300, "a/b/c"])
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        clean_type(text)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, Lifecycle()),
        ("", Lifecycle()),
        ("{}", Lifecycle()),
        ('{"expiration_duration_seconds": 60}', Lifecycle(60.0)),
        ('{"initial_acl": {"default": "allow", "rules": []}}', Lifecycle()),
        ('{"initial_acl": {"default": "hide"}, "x": 1}', Lifecycle(private=True)),
        ('{"initial_acl": {"default": "forbid"}}', Lifecycle(private=True)),
    ],
)
def test_lifecycles(header: str | None, expected: Lifecycle) -> None:
    assert read_lifecycle(header) == expected


@pytest.mark.parametrize(
    "header", ["1", '{"expiration_duration_seconds": 0}', '{"expiration_duration_seconds": 1e300}', "x", '"a"', "{"]
)
def test_lifecycles_that_cannot_be(header: str) -> None:
    with pytest.raises(InvalidInput):
        read_lifecycle(header)


@pytest.mark.parametrize(
    "path", ["/files/", "/files/short/x", "/other/0123456789abcdef/x", "/files/0123456789abcde%2e/x", ""]
)
def test_what_is_no_path_of_a_file(path: str) -> None:
    assert id_of(path) is None


@given(st.text("0123456789-, bytes=x", max_size=30), st.integers(0, 50))
def test_ranges_lie_within_the_file_and_send_no_byte_twice(header: str, size: int) -> None:
    try:
        spans = parse_ranges("bytes=" + header, size)
    except RangeNotSatisfiable as error:
        assert error.headers == {"content-range": f"bytes */{size}"}
        return
    assert spans is not None
    assert all(0 <= span.start < span.end <= size for span in spans)
    sent = [n for span in spans for n in range(span.start, span.end)]
    assert len(sent) == len(set(sent))


def test_ranges_keep_their_order_unless_they_touch() -> None:
    assert parse_ranges("bytes=5-6,0-1", 10) == [Span(5, 7), Span(0, 2)]
    assert parse_ranges("bytes=5-6,0-4", 10) == [Span(0, 7)]
    assert parse_ranges("items=0-1", 10) is None


def test_dates() -> None:
    assert http_date(784111777.9) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert unmodified_since("Sun, 06 Nov 1994 08:49:37 GMT", 784111777.9)
    assert not unmodified_since("Sun, 06 Nov 1994 08:49:36 GMT", 784111777.9)
    assert same_version("Sun, 06 Nov 1994 08:49:37 GMT", '"a"', 784111777.9)
    assert not same_version('W/"a"', '"a"', 0)


@given(st.text(), st.text(max_size=40), st.floats(0, 1e12))
def test_only_what_was_signed_passes(secret: str, token: str, now: float) -> None:
    signer = Signer(secret.encode("utf-8", "replace"))
    good = signer.sign("file", "a", 100)
    signer.check("file", "a", good, 99.9)
    wrong: list[tuple[Any, ...]] = [
        ("file", "a", good, 100), ("file", "b", good, 0), ("cdn", "a", good, 0), ("file", "a", good + "x", 0),
        ("file", "a", "9" + good, 0), ("file", "a", token, now),
    ]  # fmt: skip
    for purpose, subject, given_token, at in wrong:
        with pytest.raises(Unauthorized):
            signer.check(purpose, subject, given_token, at)


def test_no_more_files_are_looked_for_than_are_wanted() -> None:
    body = b" ".join(b"/files/%032x/a" % n for n in range(5))
    assert [len(file_ids(body, most)) for most in (1, 4, 5, 9)] == [2, 5, 5, 5] and len(file_ids(body)) == 5
