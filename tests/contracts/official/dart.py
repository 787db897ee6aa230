"""fal-dart 0.3.0 as its sources say: the requests that it sends, and answers read as strictly as Dart reads them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec

from .raw_http import Answer, send

Object = dict[str, Any]


class FalApiException(Exception):
    """Any error but a 422: the body as text and as the object that it must be."""

    def __init__(self, status: int, message: str, body: Object) -> None:
        super().__init__(message)
        self.status = status
        self.body = body


class ValidationException(Exception):
    """A 422. The package reads `status`, `message` and `body`; without them it throws a TypeError."""

    def __init__(self, value: Object) -> None:
        read = msgspec.convert(value, _Validation)
        super().__init__(read.message)
        self.status = read.status
        self.body = read.body


class _Validation(msgspec.Struct):
    status: int
    message: str
    body: Any


class RequestLog(msgspec.Struct):
    message: str
    timestamp: str


class InQueue(msgspec.Struct, tag_field="status", tag="IN_QUEUE"):
    response_url: str
    queue_position: int


class InProgress(msgspec.Struct, tag_field="status", tag="IN_PROGRESS"):
    response_url: str
    logs: list[RequestLog] | None = None


class Completed(msgspec.Struct, tag_field="status", tag="COMPLETED"):
    response_url: str
    logs: list[RequestLog] | None = None


Status = InQueue | InProgress | Completed


class File(NamedTuple):
    """`XFile`."""

    name: str
    data: bytes
    kind: str | None = None


class FalOutput(NamedTuple):
    data: Object
    request_id: str


class Client:
    """`FalClient.withProxy`, or `FalClientImpl` with credentials besides.

    Args:
        in_browser: whether it runs on the web, where `User-Agent` cannot be set.
    """

    def __init__(self, proxy: str, key: str = "", *, in_browser: bool = False) -> None:
        self._proxy = proxy
        self._key = key
        self._agent = "X-Fal-User-Agent" if in_browser else "User-Agent"

    def _send(
        self, endpoint: str, *, method: str = "POST", subdomain: str = "", path: str = "",
        input: Mapping[str, Any] | None = None, query: Mapping[str, str] | None = None,
    ) -> Answer:  # fmt: skip
        parameters = {**(input or {}), **(query or {})} if method == "GET" else dict(query or {})
        url = endpoint if "fal.ai" in endpoint.partition("/storage")[0] else f"https://{subdomain}fal.run/{endpoint}"
        url += path + (f"?{urlencode(parameters)}" if parameters else "")
        headers = [
            ("accept", "application/json"),
            ("content-type", "application/json; charset=utf-8"),
            (self._agent, "fal.ai/dart-client 0.3.0 - linux"),
        ]
        if self._key:
            headers.append(("authorization", f"Key {self._key}"))
        headers += [("x-fal-target-url", url), ("accept-encoding", "gzip")]
        body = json.dumps(input).encode() if method != "GET" and input is not None else None
        return send(method, self._proxy, headers, body)

    def _object(self, answer: Answer) -> Object:
        """`handleJsonResponse`: an object, whatever the status.

        Raises:
            msgspec.ValidationError: it is none.
        """
        value = msgspec.json.decode(answer.body, type=Object)
        if answer.ok:
            return value
        if answer.status == 422:
            raise ValidationException(value)
        raise FalApiException(answer.status, answer.body.decode(), value)

    def _output(self, answer: Answer) -> FalOutput:
        return FalOutput(self._object(answer), answer.headers.get("x-fal-request-id", ""))

    def run(self, endpoint: str, input: Mapping[str, Any] | None = None, method: str = "POST") -> FalOutput:
        return self._output(self._send(endpoint, method=method, input=self._transformed(input)))

    def submit(self, endpoint: str, input: Mapping[str, Any] | None = None, webhook: str | None = None) -> str:
        query = {"fal_webhook": webhook} if webhook is not None else None
        answer = self._send(endpoint, subdomain="queue.", input=input, query=query)
        request_id = self._object(answer)["request_id"]
        assert isinstance(request_id, str)
        return request_id

    def status(self, endpoint: str, request_id: str, *, logs: bool = False) -> Status:
        path = f"/requests/{request_id}/status"
        input = {"logs": "1" if logs else "0"}
        answer = self._send(_app(endpoint), method="GET", subdomain="queue.", path=path, input=input)
        return msgspec.convert(self._object(answer), Status)

    def result(self, endpoint: str, request_id: str) -> FalOutput:
        path = f"/requests/{request_id}"
        return self._output(self._send(_app(endpoint), method="GET", subdomain="queue.", path=path))

    def subscribe(
        self,
        endpoint: str,
        input: Mapping[str, Any] | None = None,
        *,
        logs: bool = False,
        on_update: Callable[[Status], None] = lambda _: None,
    ) -> FalOutput:
        """Polls, without the half second between."""
        request_id = self.submit(endpoint, self._transformed(input))
        while True:
            status = self.status(endpoint, request_id, logs=logs)
            on_update(status)
            if isinstance(status, Completed):
                return self.result(endpoint, request_id)

    def upload(self, file: File) -> str:
        kind = file.kind or "application/octet-stream"
        wanted = {"file_name": file.name, "content_type": kind}
        signed = self._object(self._send("https://rest.alpha.fal.ai/storage/upload/initiate", input=wanted))
        target, url = signed["upload_url"], signed["file_url"]
        assert isinstance(target, str) and isinstance(url, str)
        headers = [("content-type", kind), ("user-agent", "Dart/3.3 (dart:io)"), ("accept-encoding", "gzip")]
        put = send("PUT", target, headers, file.data)
        assert put.ok, put.body  # the package does not look
        return url

    def _transformed(self, input: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """Files of the top level become URLs."""
        if input is None:
            return None
        return {key: self.upload(value) if isinstance(value, File) else value for key, value in input.items()}


def _app(endpoint: str) -> str:
    """`owner/alias`: a namespace is taken off, and what follows the alias."""
    parts = endpoint.split("/")
    if parts[0] in {"workflows", "comfy"}:
        parts = parts[1:]
    return f"{parts[0]}/{parts[1]}"
