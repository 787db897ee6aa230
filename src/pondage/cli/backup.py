"""`pondage backup`: a copy of the data of a server, while it runs."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from pondage.cli import exits
from pondage.cli.terminal import size

HELP = "copy a server's data, while it runs"

SECRETS = ("token.secret", "runner.token")
"""Small files beside the database that must survive with it, where they are there."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", help="the folder to write to, empty or new")
    parser.add_argument("--data", help="data folder (./pondage-data)")
    parser.add_argument("--no-files", action="store_true", help="copy the database without the stored files")


def run(args: argparse.Namespace) -> int:
    from pondage.database.backup import back_up
    from pondage.settings import load
    from pondage.wire.masking import masked

    settings, _ = load({"data": args.data})
    data, target = Path(settings.data), Path(args.target)
    copy = back_up(data, target)
    copy_beside(data, target, files=not args.no_files and not settings.files)
    total = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    if args.json:
        args.terminal.result_json({"database": str(copy), "bytes": total})
    else:
        args.terminal.result(str(copy))
        args.terminal.say(f"checked; {size(total)} in all. Bring it back: pondage restore {target} --data NEW")
        if settings.files:
            args.terminal.say(f"files are in {masked(settings.files)} and were not copied")
    return exits.OK


def copy_beside(source: Path, target: Path, *, files: bool) -> None:
    """Copy what lies beside the database: secrets, and the stored files.

    Files are written whole and never changed, so a copy of the folder made after the database's has all of its files.
    """
    for path in sorted(source.iterdir()):
        if path.is_file() and (path.name in SECRETS or path.suffix in (".secret", ".token", ".key", ".pem")):
            shutil.copy2(path, target / path.name)
    if files and (source / "files").is_dir():
        shutil.copytree(source / "files", target / "files", dirs_exist_ok=True, ignore=_unfinished)


def _unfinished(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name.endswith(".part") or not (Path(folder) / name).exists()}
