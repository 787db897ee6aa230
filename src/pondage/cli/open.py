"""`pondage open`: a link that signs in on the pages, once. Whoever may write the data folder may have one."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from pondage.cli import exits
from pondage.cli.failures import BadArguments

HELP = "a link to the pages that signs in once, where keys are required"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", help="data folder (./pondage-data)")
    parser.add_argument(
        "--as", dest="key_id", metavar="KEY-ID", help="sign in as this key, with no more than it may do"
    )
    parser.add_argument("--browser", action="store_true", help="open it in this machine's browser")


def run(args: argparse.Namespace) -> int:
    from pondage.settings import load

    settings, _ = load({"data": args.data})
    url, token = asyncio.run(_link(Path(settings.data), args.key_id or ""))
    base = settings.public_url.rstrip("/") or url
    link = f"{base}/ui/" if token is None else f"{base}/ui/sign-in#{token}"
    if args.json:
        args.terminal.result_json({"url": link, "once": token is not None})
    else:
        args.terminal.result(link)
        if token is None:
            args.terminal.say("  This server asks for no key: the pages are open to this machine.")
        else:
            args.terminal.say("  It signs in once, within 5 minutes.")
    if args.browser:
        import webbrowser

        webbrowser.open(link)
    return exits.OK


async def _link(data: Path, key_id: str) -> tuple[str, str | None]:
    """The address of the server that runs on a data folder, and the secret of a new link; None where none is needed."""
    import msgspec

    from pondage.clock import SystemClock
    from pondage.database.page_sessions import PageSessions
    from pondage.database.sqlite import SqliteDatabase
    from pondage.keys import KeyStore

    try:
        note = msgspec.json.decode(await asyncio.to_thread((data / "gateway.json").read_bytes))
    except FileNotFoundError:
        raise BadArguments(f"no server runs on {data}", "name its data folder with --data") from None
    database = await SqliteDatabase.attach(data)
    try:
        keys = await KeyStore.open(database, SystemClock(), data)
        if not keys.any:
            return note["url"], None
        if key_id and keys.get(key_id) is None:
            raise BadArguments(f"there is no key {key_id}, or it was revoked or has expired", "pondage keys list")
        return note["url"], await PageSessions(database, SystemClock()).link(key_id)
    finally:
        await database.close()
