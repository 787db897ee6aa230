"""fal-java 0.7.1, which is Kotlin's too, as its sources say: OkHttp's requests, and answers as Gson reads them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from .raw_http import Answer, begin, send

T = TypeVar("T")


class FalException(Exception):
    """The status in the text, and the request's id; the body is dropped."""

    def __init__(self, text: str, request_id: str | None) -> None:
        super().__init__(text)
        self.request_id = request_id


class Labels(msgspec.Struct):
    level: str
    source: str


class RequestLog(msgspec.Struct):
    """Its getters read all of these."""

    message: str
    timestamp: str
    labels: Labels


class _Update(msgspec.Struct):
    """`@Nonnull` members of every status."""

    request_id: str
    status_url: str
    response_url: str
    cancel_url: str


class InQueue(_Update, tag_field="status", tag="IN_QUEUE", kw_only=True):
    queue_position: int


class InProgress(_Update, tag_field="status", tag="IN_PROGRESS", kw_only=True):
    logs: list[RequestLog] | None = None


class Completed(_Update, tag_field="status", tag="COMPLETED", kw_only=True):
    logs: list[RequestLog] | None = None


Update = InQueue | InProgress | Completed


class Output(msgspec.Struct, Generic[T]):
    """`data`, and `requestId`, which must not be null."""

    data: T
    request_id: str


class Client:
    """`FalClient.withConfig`, with a proxy as every server but fal's needs it.

    Args:
        target_header: how the proxy's header is spelt.
    """

    def __init__(self, proxy: str, key: str = "", *, target_header: str = "X-Fal-Target-Url") -> None:
        self._proxy = proxy
        self._key = key
        self._target_header = target_header

    def _headers(self, method: str, url: str) -> list[tuple[str, str]]:
        # The interceptors add theirs behind the request's own; a body brings its type, with its charset.
        kind = "application/json" if method == "GET" else "application/json; charset=utf-8"
        headers = [("content-type", kind), ("accept", "application/json")]
        if self._key:
            headers.append(("Authorization", f"Key {self._key}"))
        headers.append((self._target_header, url))
        headers += [("Connection", "Keep-Alive"), ("Accept-Encoding", "gzip"), ("User-Agent", "okhttp/4.12.0")]
        return headers

    def _call(self, method: str, url: str, input: Mapping[str, Any] | None = None) -> Answer:
        body = json.dumps(input).encode() if method != "GET" and input is not None else None
        answer = send(method, self._proxy, self._headers(method, url), body)
        if not answer.ok:
            if "application/json" in answer.headers.get("content-type", ""):
                json.loads(answer.body)  # parsed, and then not used
            raise FalException(f"Request failed with code: {answer.status}", answer.headers["X-Fal-Request-Id"])
        return answer

    def _output(self, answer: Answer) -> Output[Any]:
        return msgspec.convert(
            {"data": json.loads(answer.body), "request_id": answer.headers["X-Fal-Request-Id"]}, Output[Any]
        )

    def run(self, endpoint: str, input: Mapping[str, Any], method: str = "POST") -> Output[Any]:
        return self._output(self._call(method, f"https://fal.run/{endpoint}", input))

    def submit(self, endpoint: str, input: Mapping[str, Any], webhook: str | None = None) -> InQueue:
        # HttpUrl encodes a query parameter but for what it may hold.
        query = "" if webhook is None else "?fal_webhook=" + webhook.replace("&", "%26").replace("=", "%3D")
        answer = self._call("POST", f"https://queue.fal.run/{endpoint}{query}", input)
        return msgspec.json.decode(answer.body, type=InQueue)

    def status(self, endpoint: str, request_id: str, *, logs: bool = False) -> Update:
        url = _of(endpoint, request_id) + "/status" + ("?logs=1" if logs else "")
        return msgspec.json.decode(self._call("GET", url).body, type=Update)

    def result(self, endpoint: str, request_id: str) -> Output[Any]:
        return self._output(self._call("GET", _of(endpoint, request_id)))

    def subscribe_to_status(
        self,
        endpoint: str,
        request_id: str,
        *,
        logs: bool = False,
        on_update: Callable[[Update], None] = lambda _: None,
        on_comment: Callable[[], None] = lambda: None,
    ) -> Completed:
        """The status stream. OkHttp gives up after 10 s without a byte; a comment is one.

        Raises:
            FalException: it ended with another state than COMPLETED.
        """
        url = _of(endpoint, request_id) + "/status/stream" + ("?logs=1" if logs else "")
        headers = [*self._headers("GET", url), ("Accept", "text/event-stream")]
        last: Update | None = None
        with begin("GET", self._proxy, headers) as response:
            assert response.status == 200, response.read()
            assert response.headers.get_content_type() == "text/event-stream"
            for data in _events(response, on_comment):
                last = msgspec.json.decode(data, type=Update)
                on_update(last)
        if not isinstance(last, Completed):
            raise FalException(f"Streaming closed with invalid state: {last}", request_id)
        return last

    def subscribe(
        self,
        endpoint: str,
        input: Mapping[str, Any],
        *,
        logs: bool = False,
        on_update: Callable[[Update], None] = lambda _: None,
    ) -> Output[Any]:
        """Always by the status stream."""
        request_id = self.submit(endpoint, input).request_id
        done = self.subscribe_to_status(endpoint, request_id, logs=logs, on_update=on_update)
        return self.result(endpoint, done.request_id)


def _of(endpoint: str, request_id: str) -> str:
    """The URL of a request: a namespace is taken off, and what follows the alias."""
    parts = endpoint.split("/")
    if parts[0] in {"workflows", "comfy"}:
        parts = parts[1:]
    return f"https://queue.fal.run/{parts[0]}/{parts[1]}/requests/{request_id}"


def _events(response: Any, on_comment: Callable[[], None]) -> Iterator[bytes]:
    """The data of each event. A last one without an empty line behind it is never given."""
    data: list[bytes] = []
    while line := response.readline():
        line = line.rstrip(b"\r\n")
        if line.startswith(b":"):
            on_comment()
        elif line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif not line and data:
            yield b"\n".join(data)
            data = []
