"""How to call an endpoint with an input, as code: one place for the pages and whoever else shows code.

Every text is run by a test, but Swift's, which is compared. On a server that asks for keys they read `PONDAGE_KEY`.
"""

from __future__ import annotations

import json
import pprint
import shlex
from collections.abc import Callable
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec

from pondage.errors import InvalidInput
from pondage.gateway import answers
from pondage.gateway.call import Call, Response
from pondage.gateway.shapes import Snippet, Snippets
from pondage.gateway.submitting import find_target

_MOST = 1024 * 1024
_SAFE = 2**53
Kind = Literal["call", "stream", "session"]


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """An endpoint id and an input for it."""

    endpoint: str
    input: msgspec.Raw


class _Call(NamedTuple):
    """What a text is made of."""

    url: str
    endpoint: str
    input: Any
    kind: Kind
    keyed: bool


def _python_value(value: Any, indent: int = 0) -> str:
    text = pprint.pformat(value, width=88, sort_dicts=False)
    return text.replace("\n", "\n" + " " * indent)


def _python(call: _Call) -> str:
    given = _python_value(call.input)
    head = f"import pondage\n\nclient = pondage.SyncClient(base_url={call.url!r})\n"
    if call.kind == "stream":
        return f"{head}for chunk in client.stream({call.endpoint!r}, {given}):\n    print(chunk)\n"
    if call.kind == "session":
        return (
            f"{head}with client.realtime({call.endpoint!r}) as session:\n"
            f"    session.send({_python_value(call.input, 4)})\n    print(session.recv())\n"
        )
    return f"{head}print(client.subscribe({call.endpoint!r}, {given}))\n"


def _fal_python(call: _Call) -> str:
    parts = urlsplit(call.url)
    host = parts.netloc + parts.path
    sockets = "wss" if parts.scheme == "https" else "ws"
    key = 'os.environ["PONDAGE_KEY"]' if call.keyed else '"any:thing"'
    lines = [
        "import os\n",
        "import fal_client",
        "import fal_client.client as fc\n",
        f"BASE = {host!r}",
        f'os.environ["FAL_KEY"] = {key}',
        f'fc.RUN_URL_FORMAT = f"{parts.scheme}://{{BASE}}/"',
        f'fc.QUEUE_URL_FORMAT = f"{parts.scheme}://{{BASE}}/queue/"',
        f'fc.REALTIME_URL_FORMAT = f"{sockets}://{{BASE}}/"',
        f'fc.REST_URL = fc.CDN_URL = f"{parts.scheme}://{{BASE}}"\n',
    ]
    given = _python_value(call.input)
    if call.kind == "stream":
        lines.append(f"for chunk in fal_client.stream({call.endpoint!r}, arguments={given}):\n    print(chunk)")
    else:
        lines.append(f"print(fal_client.subscribe({call.endpoint!r}, arguments={given}))")
    return "\n".join(lines) + "\n"


def _javascript(call: _Call) -> str:
    given = json.dumps(call.input, indent=2, ensure_ascii=False)
    options = [f'proxyUrl: {{ url: "{call.url}/api/fal/proxy", when: "always" }},']
    if call.keyed:
        options.append(
            "requestMiddleware: async (request) => ({\n    ...request,\n"
            "    headers: { ...request.headers, authorization: `Key ${process.env.PONDAGE_KEY}` },\n  }),"
        )
    head = 'import { createFalClient } from "@fal-ai/client";\n\nconst fal = createFalClient({\n'
    head += "".join(f"  {option}\n" for option in options) + "});\n"
    if call.kind == "stream":
        return (
            f'{head}const stream = await fal.stream("{call.endpoint}", {{\n  input: {_indented(given)},\n'
            '  connectionMode: "server",\n});\nfor await (const chunk of stream) console.log(JSON.stringify(chunk));\n'
        )
    return (
        f'{head}const result = await fal.subscribe("{call.endpoint}", {{\n  input: {_indented(given)},\n}});\n'
        "console.log(JSON.stringify(result.data));\n"
    )


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")


def _swift(call: _Call) -> str:
    head = f'import FalClient\n\nlet fal = FalClient.withProxy("{call.url}/api/fal/proxy")\n'
    given = _swift_value(call.input)
    return f'{head}let result = try await fal.subscribe(to: "{call.endpoint}", input: {given})\nprint(result)\n'


def _swift_value(value: Any) -> str:
    if isinstance(value, dict):
        inner = ", ".join(f"{json.dumps(name, ensure_ascii=False)}: {_swift_value(one)}" for name, one in value.items())
        return f"[{inner or ':'}]"
    if isinstance(value, list):
        return f"[{', '.join(map(_swift_value, value))}]"
    return "nil" if value is None else json.dumps(value, ensure_ascii=False).replace("\\/", "/")


def _curl(call: _Call) -> str:
    path = f"/{call.endpoint}" + ("/stream" if call.kind == "stream" else "")
    lines = [f"curl -sS{'N' if call.kind == 'stream' else ''} {shlex.quote(call.url + path)}"]
    if call.keyed:
        lines.append('-H "Authorization: Key $PONDAGE_KEY"')
    lines += ["-H 'content-type: application/json'", f"-d {shlex.quote(_json(call.input))}"]
    return " \\\n  ".join(lines) + "\n"


def _command(call: _Call) -> str:
    stream = " --stream" if call.kind == "stream" else ""
    return f"pondage call {call.endpoint} {shlex.quote(_json(call.input))} --server {shlex.quote(call.url)}{stream}\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


class _Language(NamedTuple):
    name: str
    title: str
    make: Callable[[_Call], str]
    kinds: frozenset[Kind]
    needs: str = ""


_BOTH: frozenset[Kind] = frozenset({"call", "stream"})
LANGUAGES = (
    _Language(
        "python",
        "Python",
        _python,
        frozenset({"call", "stream", "session"}),
        "pip install .  # in a checkout of Pondage",
    ),
    _Language("fal-python", "Python (fal_client)", _fal_python, _BOTH, "pip install fal-client"),
    _Language("javascript", "JavaScript", _javascript, _BOTH, "npm install @fal-ai/client"),
    _Language("swift", "Swift", _swift, frozenset({"call"})),
    _Language("curl", "curl", _curl, _BOTH),
    _Language("command", "Command line", _command, _BOTH),
)


def snippets(url: str, endpoint: str, given: Any, kind: Kind, *, keyed: bool) -> list[Snippet]:
    """The texts for a call of `endpoint` at `url` with an input, in every language that knows this kind of call."""
    call = _Call(url.rstrip("/"), endpoint, given, kind, keyed)
    made = []
    for language in LANGUAGES:
        if kind in language.kinds:
            note = "Set PONDAGE_KEY to a key, id:secret." if keyed else ""
            if language.name == "javascript" and _too_large(given):
                note = f"{note} JavaScript rounds integers beyond 2^53; this input has one.".strip()
            made.append(Snippet(language.name, language.title, language.make(call), language.needs, note))
    return made


def _too_large(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_too_large, value.values()))
    if isinstance(value, list):
        return any(map(_too_large, value))
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) > _SAFE


async def make_snippets(call: Call) -> Response:
    """How to call an endpoint with an input, as code in several languages."""
    wanted = await call.json(Wanted, _MOST, hint="{'endpoint': 'owner/alias', 'input': {…}}")
    try:
        given = json.loads(bytes(wanted.input))
    except (ValueError, RecursionError) as error:
        raise InvalidInput.field(["body", "input"], f"is not JSON: {error}") from None
    target = find_target(call, wanted.endpoint, want="session" if _is_live(call, wanted.endpoint) else "call")
    access = call.rooms.access
    return answers.json(
        Snippets(snippets(call.origins.run, wanted.endpoint, given, target.mode, keyed=not access.open))
    )


def _is_live(call: Call, endpoint: str) -> bool:
    for name in call.rooms.fleet.app_names():
        info = call.rooms.fleet.infos.get(name)
        if info and (endpoint == name or endpoint.startswith(name + "/")):
            path = endpoint[len(name) :] or "/"
            return any(one.path == path and one.kind == "realtime" for one in info.endpoints)
    return False
