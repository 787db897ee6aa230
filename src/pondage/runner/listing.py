"""`--list`: which apps a file or module holds, for a gateway that its source alone does not tell."""

from __future__ import annotations

import os
import sys

import msgspec

from pondage.app.app import ENVIRONMENTS
from pondage.app.loading import LoadError, as_script, load


def list_apps(target: str) -> int:
    """Print the App classes of a target, and what they say of their processes, as JSON; returns the exit code."""
    # What the author's module prints is no part of the answer.
    answer = os.dup(1)
    os.dup2(2, 1)
    as_script(target)
    try:
        found = {
            cls.__name__: {
                "name": cls.app_name or "",
                "env": cls.env if cls.env in ENVIRONMENTS else ENVIRONMENTS[0],
                "pass_env": list(cls.pass_env),
            }
            for cls in load(target)
        }
    except LoadError as error:
        print(error, file=sys.stderr)
        return 3
    with open(answer, "wb") as file:
        file.write(msgspec.json.encode(found) + b"\n")
    return 0
