"""Write docs/client.md, the client reference, from the docstrings of `pondage.client`.

python scripts/client_reference.py          write
python scripts/client_reference.py --check  exit with 1 if what is there is not what would be written
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from pondage import client  # noqa: E402
from pondage.client import errors, limits  # noqa: E402
from pondage.client.aio.groups import AsyncQueue, AsyncStreaming  # noqa: E402
from pondage.client.aio.realtime import AsyncRealtime  # noqa: E402
from pondage.client.aio.storage import AsyncStorage  # noqa: E402
from pondage.client.aio.streaming import AsyncStream  # noqa: E402

PAGE = ROOT / "docs/client.md"

INTRODUCTION = """\
# Client reference

*Written by `scripts/client_reference.py` from the docstrings; change those.*

```python
import pondage.client as fal_client  # a drop-in for fal's Python client

print(fal_client.run("local/hello", {"name": "you"}))

handle = fal_client.submit("local/hello", {"name": "you"})  # come back later, from any process
for event in handle.iter_events(with_logs=True):
    print(event)
print(handle.get())

# each Queued, InProgress and Completed as it comes; `new_logs` of the last two has what was printed meanwhile
fal_client.subscribe("local/hello", {"name": "you"}, with_logs=True, on_queue_update=print)

for chunk in fal_client.stream("local/count", {"to": 3}):  # goes on where a connection broke
    print(chunk)
```

A client of your own, blocking or async, has the same calls, and the grouped form of fal's Swift and JavaScript clients:

```python
from pondage.client import AsyncClient

async with AsyncClient(base_url="https://gpu.example.org", key="id:secret") as client:
    handle = await client.queue.submit("acme/flux/dev", {"prompt": "a cat"}, webhook_url="https://example.org/hook")
    status = await client.queue.status("acme/flux/dev", of=handle.request_id, include_logs=True)
    output = await client.queue.response("acme/flux/dev", of=handle.request_id, output_type=Output)
    async with client.realtime.connect("acme/live") as session:
        await session.send({"frame": b"..."})
        async for result in session:
            ...
```

| setting | environment | meaning |
| --- | --- | --- |
| `base_url` | `PONDAGE_URL` | the server, by default `http://127.0.0.1:8000`; the word `fal` for fal's cloud |
| `key` | `PONDAGE_KEY` | `id:secret`; none is needed where the server asks for none |
| `key` for fal's hosts | `FAL_KEY`, or `FAL_KEY_ID` and `FAL_KEY_SECRET` | never sent anywhere else |

Both spellings work everywhere: `arguments=` and `input=`, `with_logs=` and `include_logs=`. A `pathlib.Path`, bytes and
PIL images anywhere in an input, also within dataclasses and models, are uploaded first and become URLs; a plain string
never is. In the module, functions with the suffix `_async` are those of the async client. The blocking client is the
same as the async one without `await`: `SyncClient`, `SyncRequestHandle`, `SyncStream`, `SyncSession`, and
`RealtimeConnection`.

What is repeated: a call that reads, and a call that makes a request, which carries an `Idempotency-Key` so that a
repeat never makes a second one. On fal's cloud, which knows no such key, a call is repeated only if it was not sent.
"""

SECTIONS: list[tuple[str, Any, list[str]]] = [
    ("The client", client.AsyncClient, ["run", "submit", "subscribe", "stream", "status", "result", "cancel",
                                        "iter_events", "get_handle", "upload", "upload_file", "upload_image",
                                        "aclose"]),
    ("A request", client.AsyncRequestHandle, ["from_request_id", "status", "iter_events", "get", "cancel"]),
    ("A stream", AsyncStream, ["aclose"]),
    ("`client.queue`", AsyncQueue, ["submit", "status", "stream_status", "response", "result", "cancel"]),
    ("`client.streaming`", AsyncStreaming, ["stream", "follow"]),
    ("`client.storage`", AsyncStorage, ["upload", "upload_file", "upload_image"]),
    ("`client.realtime`", AsyncRealtime, ["__call__", "ws_connect", "connect"]),
    ("A session", client.AsyncSession, ["send", "close"]),
    ("A connection", client.AsyncRealtimeConnection, ["send", "recv", "close"]),
]  # fmt: skip

CLASSES = [
    client.Queued, client.InProgress, client.Completed, client.Progress, client.Expected, client.Within,
    client.StorageSettings, client.StorageACL, client.StorageACLRule, client.UploadSession,
]  # fmt: skip

FUNCTIONS = [client.encode, client.encode_file, client.encode_image, client.set_get_current_app]


def signature(name: str, member: Any) -> str:
    """The call as it is written in a stub, without `self`; on several lines where it is long."""
    found = inspect.signature(member)
    parts: list[str] = []
    starred = False
    for parameter in found.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            parts.append("*")
            starred = True
        text = f"{parameter.name}: {parameter.annotation}"
        if parameter.default is not parameter.empty:
            value = "…" if "factory" in repr(parameter.default) else repr(parameter.default)
            text += f" = {value}"
        parts.append(text)
    word = "await " if inspect.iscoroutinefunction(member) else ""
    returns = (
        "" if inspect.isclass(member) or found.return_annotation is found.empty else f" -> {found.return_annotation}"
    )
    line = f"{word}{name}({', '.join(parts)}){returns}"
    if len(line) <= 100:
        return line
    return f"{word}{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){returns}"


def prose(docstring: str | None) -> str:
    """A docstring as Markdown: its sections become lists."""
    lines = inspect.cleandoc(docstring or "").split("\n")
    out: list[str] = []
    section = ""
    for line in lines:
        if line in ("Args:", "Raises:", "Returns:"):
            section = line
            out += ["", {"Args:": "Parameters:", "Raises:": "Raises:", "Returns:": "Returns:"}[line], ""]
        elif section and line.startswith("    ") and not line.startswith("     "):
            entry = line.strip()
            name, colon, rest = entry.partition(": ")
            named = bool(colon) and re.fullmatch(r"[\w, ]+", name) is not None and section != "Returns:"
            out.append(f"- `{name}`: {rest}" if named else f"- {entry}")
        elif section and line.startswith("     "):
            out.append("  " + line.strip())
        else:
            section = "" if line and not line.startswith(" ") else section
            out.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip()


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for title, kind, members in SECTIONS:
        parts.append(f"## {title}\n")
        constructor = (
            "" if kind.__name__ not in client.__all__ else f"```python\n{signature(kind.__name__, kind)}\n```\n\n"
        )
        parts.append(f"{constructor if kind is client.AsyncClient else ''}{prose(kind.__doc__)}\n")
        for name in members:
            member = inspect.getattr_static(kind, name)
            function = inspect.unwrap(getattr(member, "__func__", member))
            shown = "client.realtime" if name == "__call__" else name
            parts.append(f"### {shown.removeprefix('client.')}\n" if name != "__call__" else f"### {shown}(…)\n")
            parts.append(f"```python\n{signature(shown, function)}\n```\n\n{prose(function.__doc__)}\n")
    parts.append("## Values\n")
    parts += [
        f"### {c.__name__}\n\n```python\n{signature(c.__name__, c)}\n```\n\n{prose(c.__doc__)}\n" for c in CLASSES
    ]
    parts.append("## Functions\n")
    parts += [
        f"### {f.__name__}\n\n```python\n{signature(f.__name__, f)}\n```\n\n{prose(f.__doc__)}\n" for f in FUNCTIONS
    ]
    tree = inspect.cleandoc(errors.__doc__ or "").partition("::\n\n")[2]
    drawing, _, after = tree.partition("\n\n")
    parts.append(f"## Errors\n\n```\n{inspect.cleandoc(drawing)}\n```\n\n{after}\n")
    parts.append(
        "## Limits\n\nConstants of `pondage.client.limits`, seconds and bytes.\n\n"
        "| name | value | meaning |\n| --- | --- | --- |"
    )
    parts.append("\n".join(rows()) + "\n")
    return re.sub(r"(?m)^\n{2,}", "\n", "\n".join(parts))


def rows() -> list[str]:
    """A row for each limit, from the source: constants have no docstrings of their own at run time."""
    source = Path(limits.__file__).read_text("utf-8")
    found = re.findall(r'^(\w+): Final = ([^\n]+)\n"""(.+?)"""', source, re.MULTILINE | re.DOTALL)
    return [f"| `{name}` | `{value.partition('  #')[0]}` | {' '.join(text.split())} |" for name, value, text in found]


def main(arguments: list[str]) -> int:
    text = page()
    if PAGE.exists() and PAGE.read_text("utf-8") == text:
        return 0
    if "--check" in arguments:
        print(f"stale: {PAGE}")
        return 1
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text, "utf-8")
    print(f"written: {PAGE}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
