"""A frame's handler bears the frame's name, so that a reader of `wire/frames.py` finds the other end."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from typing import get_args

from pondage.fleet.fleet import LocalFleet
from pondage.wire.frames import FromRunner


def test_every_frame_goes_to_the_method_of_its_name() -> None:
    tree = ast.parse(textwrap.dedent(inspect.getsource(LocalFleet._frame)))
    handled = {}
    for case in (node for node in ast.walk(tree) if isinstance(node, ast.match_case)):
        assert isinstance(case.pattern, ast.MatchClass)
        frame = ast.unparse(case.pattern.cls).removeprefix("frames.")
        called = {n.func.attr for n in ast.walk(case) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)}
        handled[frame] = re.sub(r"(?<!^)(?=[A-Z])", "_", frame).lower() in called
    assert {frame.__name__ for frame in get_args(FromRunner)} == set(handled)
    # A Hello comes first and once, before there is a runner to whom frames belong.
    assert {frame for frame, named in handled.items() if not named} == {"Hello"}
