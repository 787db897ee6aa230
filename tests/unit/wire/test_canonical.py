"""One spelling for documents that say the same, and two for those that do not."""

from __future__ import annotations

import pytest

from pondage.wire.canonical import canonical, same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"a": 1, "b": [1, 2]}', b'{"b":[1,2],\n "a":1}'),
        (b'{"x": {"d": null, "c": true}}', b'{"x":{"c":true,"d":null}}'),
        (b'{"t": "\\u00e9"}', '{"t":"é"}'.encode()),
        (b" [] ", b"[]"),
        (b'{"a": {}}', b'{"a":{ }}'),
        (b'{"a": 1, "a": 2}', b'{"a": 2}'),
    ],
)
def test_the_same_in_another_spelling(one: bytes, other: bytes) -> None:
    assert same(one, other)
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"a": 1}', b'{"a": 1.0}'),
        (b'{"a": 1.0}', b'{"a": "1.0"}'),
        (b'{"a": 100}', b'{"a": 1e2}'),
        (b"[1, 2]", b"[2, 1]"),
        (b'{"a": null}', b"{}"),
        (b'{"a": true}', b'{"a": "true"}'),
        (b"[1, [2]]", b"[1, 2]"),
        (b"[12]", b"[1, 2]"),
    ],
)
def test_what_differs(one: bytes, other: bytes) -> None:
    assert not same(one, other)


def test_a_number_of_any_length_stands_as_it_was_written() -> None:
    digits = b"7" * 6000
    assert canonical(b'{ "n" : ' + digits + b" }") == b'{"n":' + digits + b"}"


def test_what_cannot_be_read_stands_as_it_is() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    assert canonical(deep) == deep
    assert canonical(b"{ no json") == b"{ no json"
    assert canonical(b'"\xff"') == b'"\xff"'


@pytest.mark.parametrize("value", [b"0", b"[]", b"{}", b'"a"', b'{"a":1}', b"1e5"])
def test_a_document_of_very_many_values_stands_as_it_is(value: bytes) -> None:
    few, many = (b"[ " + b",".join([value] * times) + b"]" for times in (5_000, 20_002))
    assert canonical(few) == few.replace(b" ", b"") and canonical(many) == many


def test_a_long_text_is_few_values() -> None:
    assert canonical(b'{ "a": "' + b"x" * 1_000_000 + b'"}') == b'{"a":"' + b"x" * 1_000_000 + b'"}'
