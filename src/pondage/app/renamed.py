"""Where an app's file lives as a module when its own name is a library's, or no name that can be imported.

`torch.py` becomes `pondage.app.renamed.torch`: the library keeps its name, and a process that the app spawns can import
the file by this one, as unpickling does.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

FILE = "PONDAGE_APP_FILE"
"""The environment variable that tells child processes which file it is."""

__path__: list[str] = []
"""Makes this module a package, so that modules can be below it."""


def name_of(path: Path) -> str:
    """The name for an app's file; from now on it can be imported by that, in child processes too."""
    os.environ[FILE] = str(path)
    return f"{__name__}.{''.join(c if c.isalnum() else '_' for c in path.stem)}"


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        file = os.environ.get(FILE)
        if not file or fullname.rpartition(".")[0] != __name__ or name_of(Path(file)) != fullname:
            return None
        return importlib.util.spec_from_file_location(fullname, file)


sys.meta_path.append(_Finder())
