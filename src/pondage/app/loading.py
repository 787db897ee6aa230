"""Find and import the apps that a specification names: `file.py`, `file.py:Class`, `package.module:Class`."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import traceback
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import ClassVar

from pondage.app import renamed
from pondage.app.app import App
from pondage.errors import PondageError
from pondage.wire.text import MAX_SENTENCE, MAX_TRACE, clean, cut, in_one_line, name_of, text_of


class LoadError(PondageError):
    """An app cannot be loaded. `reason` is one line, `where` is `file:line` (empty if unknown)."""

    code: ClassVar[str] = "app.load"

    def __init__(self, reason: str, where: str = "", trace: str = "") -> None:
        super().__init__(f"{where}: {reason}" if where else reason)
        self.reason = reason
        self.where = where
        self.trace = trace


def load(spec: str) -> list[type[App]]:
    """The classes that `spec` names; all of a file's or module's own ones, in their order, where it names none.

    Raises:
        LoadError: no such file, module or class, or its import failed; with file and line.
    """
    where, _, class_name = spec.partition(":")
    module = _import(where)
    if class_name:
        found = getattr(module, class_name, None)
        if not (isinstance(found, type) and issubclass(found, App) and found is not App):
            names = ", ".join(c.__name__ for c in _own(module)) or "none"
            raise LoadError(f"{class_name} in {where} is no class that derives from pondage.App; there is: {names}")
        return [found]
    classes = _own(module)
    if not classes:
        raise LoadError(f"no class in {where} derives from pondage.App")
    return classes


def where_of(error: BaseException) -> str:
    """`file:line` of the innermost frame that is not ours, the standard library's or an installed package's.

    A syntax error is where it stands in the source. Empty where that cannot be told.
    """
    try:
        return cut(clean(_where(error)), MAX_SENTENCE)
    except Exception:  # an error of the author's own class may have anything in its members
        return ""


def _where(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<")]
    own = [f for f in frames if _is_authors(f.filename)]
    chosen = (own or frames)[-1] if frames else None
    return f"{chosen.filename}:{chosen.lineno}" if chosen else ""


def trace_of(error: BaseException) -> str:
    """The traceback without our own frames above the author's; the error in one line where it has none to show."""
    try:
        tb = error.__traceback__
        while tb is not None and not _is_authors(tb.tb_frame.f_code.co_filename):
            tb = tb.tb_next
        shown = tb if isinstance(error, SyntaxError) else tb or error.__traceback__
        lines = "".join(traceback.format_exception(type(error), error, shown)).rstrip()
    except BaseException as other:
        return f"{in_one_line(error)}\nIts traceback cannot be shown: {in_one_line(other)}"
    return cut(clean(lines), MAX_TRACE)


def _own(module: ModuleType) -> list[type[App]]:
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, App)
        and value.__module__ == module.__name__
        and not value.__name__.startswith("_")
    ]


def _import(where: str) -> ModuleType:
    as_file = _is_file(where)
    path = Path(where).resolve()
    if as_file and not path.is_file():
        raise LoadError(f"there is no file {where}")
    try:
        return _import_file(path) if as_file else _import_module(where)
    except LoadError:
        raise
    except BaseException as error:  # whatever the author's module raises, SystemExit too
        if isinstance(error, KeyboardInterrupt):
            raise
        reason = f"{where} does not import: {name_of(error)}: {_first_line(error)}"
        raise LoadError(reason, where_of(error), trace_of(error)) from error


def as_script(spec: str) -> None:
    """Make `sys.argv` what `python app.py`, or `python -m package.module`, has it: the author's module may read it as
    it is imported, and later."""
    where = spec.partition(":")[0]
    if not _is_file(where):
        with contextlib.suppress(ImportError, ValueError, AttributeError):
            found = importlib.util.find_spec(where)
            where = (found and found.origin) or where
    sys.argv[:] = [where]


def _is_file(where: str) -> bool:
    return where.endswith(".py") or "/" in where


def _import_file(path: Path) -> ModuleType:
    name = path.stem
    shadows = _is_library(name, path.parent)
    _make_importable(path.parent, first=not shadows)
    if shadows or "." in name or name in sys.modules:
        name = renamed.name_of(path)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise LoadError(f"{path} is no Python file")
    if isinstance(spec.loader, SourceFileLoader):
        spec.loader = _AsWritten(name, str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pickling and type hints look it up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _is_library(name: str, folder: Path) -> bool:
    """Whether there is a library of that name besides the app's own file, which it must not hide: `torch.py` that
    imports torch."""
    if name in sys.stdlib_module_names or name in sys.builtin_module_names:
        return True
    elsewhere = [entry for entry in sys.path if entry and Path(entry).resolve() != folder]
    try:
        found = PathFinder.find_spec(name, elsewhere)
    except (ImportError, ValueError):
        return False
    return found is not None and found.loader is not None


def _make_importable(folder: Path, *, first: bool) -> None:
    """Let the app import its neighbours, as `python app.py` would: the file's folder comes first. Last, where the
    file bears the name of a library; there is no other way that holds for processes which the app starts, too."""
    if str(folder) not in sys.path:
        sys.path.insert(0 if first else len(sys.path), str(folder))
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


class _AsWritten(SourceFileLoader):
    """Compiles the file as it is now. Kept bytecode is trusted where size and whole second of the source are the same,
    so that a change right after a start would be overlooked."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _import_module(name: str) -> ModuleType:
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())
    return importlib.import_module(name)


def _first_line(error: BaseException) -> str:
    text = text_of(error.msg if isinstance(error, SyntaxError) else error)
    lines = text.strip().splitlines()
    return lines[0] if lines else ""


_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_LIBRARY = os.path.dirname(os.path.abspath(os.__file__))


def _is_authors(filename: str) -> bool:
    return not (
        filename.startswith((_OURS, _LIBRARY, "<")) or "site-packages" in filename or "dist-packages" in filename
    )
