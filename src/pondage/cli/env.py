"""`pondage env`: what to set so that an official fal client calls this server. docs/pointing.md is the same text."""

from __future__ import annotations

import argparse
import os
from importlib.resources import files
from urllib.parse import urlsplit

from pondage.cli import exits, reach

HELP = "what to set so that fal's official clients call this server"

CLIENTS = {
    "py": "python",
    "js": "javascript",
    "swift": "swift",
    "java": "java",
    "kotlin": "kotlin",
    "dart": "dart",
    "sdk": "sdk",
    "any": "any",
}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--client", choices=tuple(CLIENTS), help="print only this client's setup")
    parser.add_argument("--endpoint", default="owner/alias", help="endpoint to show in the examples")
    parser.add_argument("--ca", metavar="FILE", help="CA certificate to trust (default: that of serve --tls-dev)")
    reach.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    from pondage.settings import dev_folder, load

    settings = load()[0]
    url, _ = reach.address(args.server, settings)
    key = args.key or os.environ.get("PONDAGE_KEY") or "any:thing"
    ca = args.ca or str(dev_folder(settings) / "ca.pem")
    wanted = [args.client] if args.client else list(CLIENTS)
    texts = {name: text(name, url=url, key=key, endpoint=args.endpoint, ca=ca) for name in wanted}
    if args.json:
        args.terminal.result_json({"url": url, "clients": texts})
    else:
        args.terminal.result("\n\n".join(part.rstrip() for part in texts.values()))
    return exits.OK


def text(
    client: str, *, url: str, key: str = "any:thing", endpoint: str = "owner/alias", ca: str = "/path/ca.pem"
) -> str:
    """What to set for a client of `CLIENTS`, with this server's address in it."""
    template = files("pondage.cli.pointing").joinpath(f"{CLIENTS[client]}.md").read_text("utf-8")
    url = url.rstrip("/")
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    values = {
        "url": url,
        "host": parts.netloc + parts.path,
        "http": parts.scheme,
        "ws": "wss" if secure else "ws",
        "key": key,
        "endpoint": endpoint,
        "ca": ca,
    }
    for name, value in values.items():
        # Not str.format: the texts are full of braces of their own.
        template = template.replace("{" + name + "}", value)
    return template
