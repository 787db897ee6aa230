"""Where a value holds a number that JSON does not have."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pondage.wire.finite import find_odd, odd_in_text

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (NAN, "it is nan"),
        ({"a": -INF}, "a is -inf"),
        ({"a": [{"b": (1, INF)}]}, "a.0.b.1 is inf"),
        ([0.5, NAN, 0.5], "1 is nan"),
        ([0.5, "text", NAN], "2 is nan"),
        ([INF, -INF], "0 is inf"),
        ({1: {2: NAN}}, "1.2 is nan"),
    ],
)
def test_it_is_found_with_its_place(value: Any, said: str) -> None:
    assert str(find_odd(value)) == said


@pytest.mark.parametrize(
    "value",
    [None, 1, 1.5, "NaN", b"\x00", [], {}, [1.5, 10**400, 2.5], [1e308, 1e308], [1.5, True, None, 2.5], {"a": [[]]}],
)
def test_what_json_has_is_left_alone(value: Any) -> None:
    assert find_odd(value) is None


def test_what_it_does_not_know_is_made_plain_first() -> None:
    assert find_odd({"a": {1.5, NAN}}) is None
    assert str(find_odd({"a": {NAN}}, list)) == "a.0 is nan"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_it_agrees_with_the_standard_library(value: Any) -> None:
    import json

    try:
        json.dumps(value, allow_nan=False)
        strict = True
    except ValueError:
        strict = False
    assert (find_odd(value) is None) == strict


def test_in_texts_that_are_no_json_for_them() -> None:
    assert str(odd_in_text(b'{"a": [1, -Infinity]}')) == "a.1 is -inf"
    assert str(odd_in_text("NaN")) == "it is nan"
    assert odd_in_text(b'{"a": "NaN"}') is None and odd_in_text(b"{NaN") is None and odd_in_text(b"{") is None


def test_a_very_large_text_is_not_looked_through() -> None:
    assert str(odd_in_text("[" + "0," * 100_000 + "NaN]")) == "100000 is nan"
    assert odd_in_text("[" + "0," * 200_000 + "NaN]") is None
