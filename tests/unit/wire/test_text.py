"""Text, numbers and headers of an author's own, made fit for a frame."""

from __future__ import annotations

import decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pondage.wire.text import MAX_HEADER, MAX_HEADERS, clean, fit_headers, in_one_line, number_of, repr_of, text_of


class Mute:
    def __str__(self) -> str:
        raise SystemExit(3)

    __repr__ = __str__


class Word(str):
    def __str__(self) -> str:
        raise RuntimeError

    def __getitem__(self, key: Any) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("plain", "plain"),
        ("é", "é"),
        ("caf\udce9 \\ \ud83d\ude00", "caf\\udce9 \\ \\ud83d\\ude00"),
        (3, "3"),
        (Path("a/b"), "a/b"),
        (Mute(), "<a Mute without text: SystemExit while it was asked>"),
        (Word("word"), "<a Word without text: RuntimeError while it was asked>"),
        pytest.param(10**5000, "<a int without text: ValueError while it was asked>", id="huge"),
        ("x" * 50, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx … (10 characters cut)"),
    ],
)
def test_text_of_anything(given: object, text: str) -> None:
    said = text_of(given, 40 if isinstance(given, str) else 200)
    assert said == text and type(said) is str
    msgspec.msgpack.encode(said)
    assert type(repr_of(given)) is str


def test_a_subclass_of_str_is_cleaned_to_a_plain_one() -> None:
    assert type(clean(Word("word"))) is str and clean(Word("word")) == "word"


def test_an_error_in_one_line() -> None:
    assert in_one_line(ValueError("one\ntwo")) == "ValueError: one"
    assert in_one_line(ValueError()) == "ValueError"
    assert in_one_line(ValueError("\udce9")) == "ValueError: \\udce9"


@pytest.mark.parametrize("number", [1, 1.0, True, decimal.Decimal(1), Fraction(1)])
def test_numbers_of_any_kind(number: object) -> None:
    assert number_of(number, "step") == 1.0


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("10", TypeError), (b"1", TypeError), (None, TypeError), (Mute(), TypeError), ([1], TypeError),
        (float("nan"), ValueError), (float("-inf"), ValueError), (10**400, ValueError),
    ],
)  # fmt: skip
def test_what_is_no_number_is_refused_by_name(given: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="step"):
        number_of(given, "step")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-a", "one\r\nset-cookie: two"), ("x-a", "nul\0"), ("x-a", "snow ☃"),
        ("x a", "1"), ("", "1"), ("x-a\n", "1"), ("x-é", "1"), ("x" * 300, "1"), ("x-a", "1" * (MAX_HEADER + 1)),
        ("Transfer-Encoding", "chunked"), ("connection", "close"), ("Content-Length", "3"), ("content-encoding", "br"),
        (Mute(), "1"),
    ],
)  # fmt: skip
def test_headers_that_no_answer_can_carry_are_left_out_and_named(name: object, value: object) -> None:
    kept, left_out = fit_headers([("x-good", "yes é"), (name, value)])
    assert kept == {"x-good": "yes é"} and len(left_out) == 1


def test_headers_are_counted() -> None:
    kept, left_out = fit_headers((f"x-{n}", n) for n in range(MAX_HEADERS + 3))
    assert len(kept) == MAX_HEADERS and len(left_out) == 3
