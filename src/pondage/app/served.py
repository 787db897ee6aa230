"""An app's class made ready to be served: its endpoints with their compiled signatures, and what it says of itself."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any

from pondage.app.app import App, endpoints_of
from pondage.app.callables import innermost, place_of
from pondage.app.endpoints import Declaration
from pondage.app.signature import Mode, Signature
from pondage.wire.frames import AppInfo, EndpointInfo
from pondage.wire.text import clean


class Endpoint:
    """One endpoint: what was declared, what the types say, and the function to call with the app as first argument."""

    __slots__ = ("call", "declaration", "kind", "path", "signature")

    def __init__(self, declaration: Declaration, function: Callable[..., Any], title: str) -> None:
        self.declaration = declaration
        self.path = declaration.path
        self.call = function
        signature = self.signature = Signature(
            function,
            title,
            batched=declaration.max_batch_size > 1,
            session=declaration.realtime,
            message=declaration.input_modal,
            result=declaration.output_modal,
        )
        self.kind: Mode = "realtime" if declaration.realtime else "stream" if signature.generates else "call"
        name = getattr(innermost(function), "__qualname__", title)
        if signature.consumes and not declaration.realtime:
            raise TypeError(f"{name} takes an iterator; only @pondage.realtime hands one in")
        if beside := signature.beside:
            if declaration.realtime or declaration.max_batch_size > 1:
                raise TypeError(f"{name}: {', '.join(beside)} has no place here; use pondage.current_request")
        if signature.batches == "requests" and signature.generates:
            raise TypeError(f"{name} is batched, so it cannot stream: it returns a list with a result for each input")
        if signature.batches == "requests" and len(signature.names) != 1:
            raise TypeError(f"{name} is batched, so it takes one parameter: the list of the inputs")

        for field in declaration.cost:
            if not is_numeric(signature.input.schema, field):
                raise TypeError(f"{name}: cost={field!r} is not a numeric field of its input")

    def info(self) -> EndpointInfo:
        """The endpoint as the gateway knows it."""
        declared = self.declaration
        return EndpointInfo(
            path=self.path,
            kind=self.kind,
            description=clean(inspect.getdoc(innermost(self.call)) or ""),
            input_schema=self.signature.input.schema,
            output_schema=self.signature.output.schema,
            buffering=declared.buffering,
            session_timeout=declared.session_timeout,
            max_batch_size=declared.max_batch_size,
            on_disconnect=declared.on_disconnect,
            retry_streams=declared.retry_streams,
            cost=declared.cost,
            billing=declared.billing,
        )


def is_numeric(schema: dict[str, Any] | None, field: str) -> bool:
    """Whether a JSON schema of an object says that a member of it is, or may be, a number."""
    properties = (schema or {}).get("properties", {})
    found, defs = [properties.get(field)], dict((schema or {}).get("$defs", {}))
    for part in found:  # grows as it is walked
        if not isinstance(part, dict):
            continue
        if part.get("type") in ("integer", "number"):
            return True
        found += [*part.get("anyOf", ()), *part.get("allOf", ())]
        if isinstance(reference := part.get("$ref"), str) and (target := defs.pop(reference.rpartition("/")[2], None)):
            found.append(target)
    return False


def compile_endpoints(cls: type[App]) -> dict[str, Endpoint]:
    """The endpoints by path.

    Raises:
        TypeError: a signature that cannot be served; the message names file and line.
    """
    found = {}
    for path, (declaration, function) in endpoints_of(cls).items():
        name = getattr(innermost(function), "__name__", "run")
        title = "".join(part.capitalize() for part in name.split("_")) or "Run"
        try:
            found[path] = Endpoint(declaration, function, title)
            slots_of(cls, {path: found[path]})
        except TypeError as error:
            place = place_of(function)
            raise TypeError(f"{place}: {error}" if place else str(error)) from error
    return found


def slots_of(cls: type[App], endpoints: dict[str, Endpoint]) -> int:
    """Requests that one runner executes at once: as the class says, else as many as its largest batch has.

    Raises:
        TypeError: the class says fewer than a batch has.
    """
    largest = 1
    for endpoint in endpoints.values():
        if endpoint.signature.batches != "requests":
            continue
        size = endpoint.declaration.max_batch_size
        if cls.max_multiplexing is not None and cls.max_multiplexing < size:
            raise TypeError(
                f"{endpoint.path} has max_batch_size={size}, {cls.__name__} has max_multiplexing="
                f"{cls.max_multiplexing}: a batch is made of requests that run at once; make the second as large, "
                "or leave it out"
            )
        largest = max(largest, size)
    return cls.max_multiplexing or largest


HEALTH = "/health"


def health_endpoint(cls: type[App]) -> Endpoint:
    """The endpoint that every app has unless it declares one at `/health` itself: what `health()` says."""
    return Endpoint(Declaration(path=HEALTH), cls.health, "Health")


def app_info(cls: type[App], name: str, endpoints: dict[str, Endpoint]) -> AppInfo:
    """What the class declares, as the fleet plans by it."""
    keep_alive = cls.keep_alive if cls.keep_alive is not None else cls.host_kwargs.get("keep_alive")
    doc = inspect.getdoc(cls) if cls.__doc__ and cls.__doc__ is not App.__doc__ else ""
    return AppInfo(
        name=name,
        endpoints=[endpoint.info() for endpoint in endpoints.values()],
        max_multiplexing=slots_of(cls, endpoints),
        min_concurrency=cls.min_concurrency,
        max_concurrency=cls.max_concurrency,
        concurrency_buffer=cls.concurrency_buffer,
        keep_alive=keep_alive,
        request_timeout=cls.request_timeout,
        request_start_timeout=cls.request_start_timeout,
        startup_timeout=cls.startup_timeout,
        termination_grace_period=cls.termination_grace_period_seconds,
        max_strikes=cls.max_strikes,
        retry_streams=cls.retry_streams,
        num_gpus=cls.num_gpus,
        description=clean(doc or ""),
        version=cls.version,
        on_fault=cls.on_fault,
        payload_ttl=cls.payload_ttl,
    )


def near_paths(path: str, endpoints: dict[str, Endpoint]) -> list[str]:
    """Paths of the app that look like `path`; all of them where none does and they are few."""
    near = difflib.get_close_matches(path, endpoints, 3, 0.6)
    return near or (list(endpoints) if len(endpoints) <= 5 else [])
