"""`pondage restore`: a backup becomes a data folder again."""

from __future__ import annotations

import argparse
from pathlib import Path

from pondage.cli import exits

HELP = "make a data folder of a backup"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("backup", help="the folder that pondage backup wrote")
    parser.add_argument("--data", help="data folder, empty or new (./pondage-data)")


def run(args: argparse.Namespace) -> int:
    from pondage.cli.backup import copy_beside
    from pondage.database.backup import restore
    from pondage.settings import load

    settings, _ = load({"data": args.data})
    backup, data = Path(args.backup), Path(settings.data)
    place = restore(backup, data)
    copy_beside(backup, data, files=not settings.files)
    if args.json:
        args.terminal.result_json({"database": str(place)})
    else:
        args.terminal.result(str(place))
        args.terminal.say(f"checked. Serve it: pondage serve APP --data {data}")
    return exits.OK
