"""fal-swift 0.5.6 as its sources say: the requests that it sends, and answers read as strictly as Swift reads them.

There is no Swift here. What a `Decodable` of the package demands is a `msgspec.Struct`, which neither converts nor
leaves out; what would end the process in Swift raises `Crash`.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

import msgspec
from websockets.sync.client import ClientConnection, connect

from .raw_http import LIMIT, Answer, Elsewhere, send

USER_AGENT = "fal.ai/swift-client 0.1.0 - Version 14.4.1 (Build 23E224)"
LEGACY_REALTIME = (
    "lcm-sd15-i2i", "lcm", "sdxl-turbo-realtime", "sd-turbo-real-time-high-fps-msgpack-a10g",
    "lcm-plexed-sd15-i2i", "sd-turbo-real-time-high-fps-msgpack",
)  # fmt: skip
"""Aliases whose realtime endpoint is `/ws`."""
MESSAGE_LIMIT = 1024 * 1024
"""`URLSessionWebSocketTask.maximumMessageSize` as it comes."""
_LEGACY = re.compile(r"(\d+)-([a-zA-Z0-9-]+)\Z")


class Crash(Exception):
    """What would end a Swift process."""


class HttpError(Exception):
    """`FalError.httpError`: the status, and the message that an app can show."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


# ---- what it reads


class Labels(msgspec.Struct):
    level: Literal["STDERR", "STDOUT", "ERROR", "INFO", "WARN", "DEBUG"]


class RequestLog(msgspec.Struct):
    message: str
    timestamp: str
    labels: Labels


class InQueue(msgspec.Struct, tag_field="status", tag="IN_QUEUE"):
    queue_position: int
    response_url: str


class InProgress(msgspec.Struct, tag_field="status", tag="IN_PROGRESS"):
    logs: list[RequestLog] | None


class Completed(msgspec.Struct, tag_field="status", tag="COMPLETED"):
    logs: list[RequestLog] | None
    response_url: str


Status = InQueue | InProgress | Completed


class UploadUrl(msgspec.Struct):
    file_url: str
    upload_url: str


class UrlImage(msgspec.Struct):
    url: str
    content_type: str
    width: int
    height: int


class RawImage(msgspec.Struct):
    content: bytes
    content_type: str
    width: int
    height: int


def image(value: Any) -> UrlImage | RawImage:
    """`FalImage`: by URL or by its bytes, and its other three members in either case."""
    named = isinstance(value, dict) and isinstance(value.get("url"), str)
    return msgspec.convert(value, UrlImage if named else RawImage)


def payload(message: str | bytes) -> Any:
    """A message of a realtime connection as `Payload`: JSON of a text frame, SwiftMsgpack of a binary one."""
    if isinstance(message, str):
        return json.loads(message)
    try:
        value = msgspec.msgpack.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Crash(f"SwiftMsgpack unwraps what is not there: {error}") from error
    _no_nil(value, "")
    return value


def _no_nil(value: Any, place: str) -> None:
    if value is None:
        raise Crash(f"SwiftMsgpack unwraps nil at {place or 'the top'}")
    if isinstance(value, dict):
        for key, member in value.items():
            if not isinstance(key, str):
                raise Crash(f"a key that is no string at {place}")
            _no_nil(member, f"{place}.{key}")
    elif isinstance(value, list):
        for n, member in enumerate(value):
            _no_nil(member, f"{place}[{n}]")


def is_result(value: Any) -> bool:
    """Whether a message is handed to the app; control messages, and anything with `status: "error"`, are not."""
    if not isinstance(value, dict):
        return True
    return value.get("status") != "error" and value.get("type") not in {"x-fal-message", "x-fal-error"}


# ---- what it sends


class AppId(NamedTuple):
    """How 0.5.6 takes an id apart: it knows no namespaces."""

    owner: str
    alias: str

    @classmethod
    def parse(cls, text: str) -> AppId:
        parts = ensure_app_id(text).split("/")
        if len(parts) < 2:
            raise ValueError(f"invalid app id {text}")
        return cls(parts[0], parts[1])


def ensure_app_id(text: str) -> str:
    if "/" not in text and (legacy := _LEGACY.match(text)) is not None:
        return f"{legacy[1]}/{legacy[2]}"
    return text


def realtime_url(app: str, token: str) -> str:
    """`wss://fal.run`: nothing can point it elsewhere but the name itself."""
    try:
        alias = AppId.parse(app).alias
    except ValueError:
        alias = app
    path = "/ws" if alias in LEGACY_REALTIME or "/" not in app else "/realtime"
    return f"wss://fal.run/{app}{path}?fal_jwt_token={quote(token)}"


class Client:
    """`FalClient`. With a proxy, everything but the PUT of an upload and realtime goes there.

    Args:
        proxy: the URL of `FalClient.withProxy`; None sends to fal's hosts, wherever those lead.
        key: what `FAL_KEY` of the environment holds.
        elsewhere: where fal's hosts lead.
    """

    def __init__(self, proxy: str | None, key: str = "", *, elsewhere: Elsewhere | None = None) -> None:
        self._proxy = proxy
        self._key = key
        self._elsewhere = elsewhere

    def send(
        self, method: str, url: str, input: Mapping[str, Any] | None = None, query: Mapping[str, str] | None = None
    ) -> bytes:
        """`sendRequest`."""
        if query:
            # URLQueryItem leaves what a query may hold as it is.
            url += "?" + "&".join(f"{name}={quote(value, safe='/:?@!$()*,;')}" for name, value in query.items())
        headers = [("accept", "application/json"), ("content-type", "application/json"), ("user-agent", USER_AGENT)]
        if self._key:
            headers.append(("authorization", f"Key {self._key}"))
        if self._proxy is not None:
            headers.append(("x-fal-target-url", url))
        headers += [
            ("accept-language", "en-GB,en;q=0.9"),
            ("accept-encoding", "gzip, deflate"),
            ("connection", "keep-alive"),
        ]
        body = json.dumps(input).encode() if input is not None and method != "GET" else None
        elsewhere = None if self._proxy is not None else self._elsewhere
        answer = send(method, self._proxy or url, headers, body, elsewhere=elsewhere)
        if not answer.ok:
            raise HttpError(answer.status, _message(answer))
        return answer.body

    # ---- run and queue

    def run(self, app: str, input: Mapping[str, Any] | None = None) -> Any:
        return json.loads(self.send("POST", f"https://fal.run/{ensure_app_id(app)}", self._uploaded(input)))

    def submit(self, app: str, input: Mapping[str, Any] | None = None, webhook: str | None = None) -> str:
        query = {"fal_webhook": webhook} if webhook is not None else None
        url = f"https://queue.fal.run/{ensure_app_id(app)}"
        answer = json.loads(self.send("POST", url, self._uploaded(input), query))
        request_id = answer["request_id"]
        if not isinstance(request_id, str):
            raise TypeError("invalidResultFormat")
        return request_id

    def status(self, app: str, request_id: str, *, logs: bool = False) -> Status:
        url = f"https://queue.fal.run/{'/'.join(AppId.parse(app))}/requests/{request_id}/status"
        return msgspec.json.decode(self.send("GET", url, query={"logs": str(int(logs))}), type=Status)

    def response(self, app: str, request_id: str) -> Any:
        url = f"https://queue.fal.run/{'/'.join(AppId.parse(app))}/requests/{request_id}"
        return json.loads(self.send("GET", url))

    def subscribe(
        self,
        app: str,
        input: Mapping[str, Any] | None = None,
        *,
        logs: bool = False,
        on_update: Callable[[Status], None] = lambda _: None,
    ) -> Any:
        """Polls without the pause of a second between."""
        request_id = self.submit(app, input)
        while True:
            status = self.status(app, request_id, logs=logs)
            on_update(status)
            if isinstance(status, Completed):
                return self.response(app, request_id)

    # ---- storage

    def upload(self, data: bytes, kind: str = "application/octet-stream") -> str:
        name = f"{str(uuid.uuid4()).upper()}.{kind.rpartition('/')[2]}"
        wanted = {"content_type": kind, "file_name": name}
        answer = self.send("POST", "https://rest.alpha.fal.ai/storage/upload/initiate", wanted)
        target = msgspec.json.decode(answer, type=UploadUrl)
        headers = [("content-type", kind), ("accept", "*/*"), ("accept-encoding", "gzip, deflate")]
        elsewhere = self._elsewhere if target.upload_url.startswith("https:") else None
        put = send("PUT", target.upload_url, headers, data, elsewhere=elsewhere)
        if put.status != 200:
            raise HttpError(put.status, _message(put))
        return target.file_url

    def _uploaded(self, input: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """Binary members of the top level become URLs."""
        if input is None:
            return None
        return {key: self.upload(value) if isinstance(value, bytes) else value for key, value in input.items()}

    # ---- realtime

    def token(self, app: str) -> str:
        """The answer's text, without any `"` in it."""
        try:
            alias = AppId.parse(app).alias
        except ValueError:
            alias = app
        body = {"allowed_apps": [alias], "token_expiration": 300}
        return self.send("POST", "https://rest.alpha.fal.ai/tokens/", body).decode().replace('"', "")

    @contextmanager
    def connect(self, app: str) -> Iterator[Realtime]:
        """Open the realtime connection of an app, which leads to `fal.run` whatever the proxy is."""
        assert self._elsewhere is not None, "no setting leads it to another host"
        url = realtime_url(app, self.token(app))
        with connect(
            url, sock=self._elsewhere.plain(), ssl=self._elsewhere.tls,
            max_size=MESSAGE_LIMIT, compression=None, open_timeout=LIMIT,
        ) as socket:  # fmt: skip
            yield Realtime(socket)
            socket.close(1000, "Programmatically closed")


class Realtime:
    """A realtime connection: text where the input has no binary member of its own, msgpack where it has."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    def send(self, input: Mapping[str, Any]) -> None:
        binary = any(isinstance(value, bytes) for value in input.values())
        self._socket.send(msgspec.msgpack.encode(input) if binary else json.dumps(input))

    def receive(self) -> Any:
        """The next result. Control messages are passed over; one that says an error raises."""
        while True:
            value = payload(self._socket.recv(timeout=LIMIT))
            if is_result(value):
                return value
            if value.get("type") == "x-fal-error" and value["error"] != "TIMEOUT":
                error, reason = value["error"], value["reason"]
                assert isinstance(error, str) and isinstance(reason, str)
                raise RuntimeError(f"{error}: {reason}")


def _message(answer: Answer) -> str:
    """`detail` where it is text, else the body where it is a JSON string, else a phrase."""
    try:
        value = json.loads(answer.body)
    except ValueError:
        return f"HTTP {answer.status}"
    detail = value.get("detail") if isinstance(value, dict) else value
    return detail if isinstance(detail, str) else f"HTTP {answer.status}"
