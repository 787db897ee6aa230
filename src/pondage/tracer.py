"""The way to OpenTelemetry: the one helper that makes spans, and how a trace is read from headers and written to them.

Its libraries are the extra `[otel]`; they are loaded where traces are asked for, and nowhere else. Seconds are wall
seconds.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pondage.errors import ExtraMissing, SetupError

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, SpanKind

CLOSE_GRACE = 3.0
"""Seconds that a receiver gets to take the last spans; one that is away does not keep the server up."""

Attributes = dict[str, str | int | float]


def otlp(url: str) -> SpanExporter:
    """What sends spans to an OTLP receiver over HTTP.

    Raises:
        SetupError: this is no address of one.
        ExtraMissing: what sends is not installed.
    """
    if not url.startswith(("http://", "https://")):
        raise SetupError(f"traces {url!r} is no address of an OTLP receiver over HTTP, like http://127.0.0.1:4318")
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        raise ExtraMissing("the setting traces", "otel") from None
    return OTLPSpanExporter(endpoint=url.rstrip("/") + "/v1/traces")


def open_tracer(url: str) -> Tracer:
    """The way to an OTLP receiver, with everything loaded that is needed on it. Blocks."""
    return Tracer(otlp(url))


class Tracer:
    """The one helper that makes spans."""

    def __init__(self, exporter: SpanExporter) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
        from opentelemetry.trace.propagation import tracecontext  # noqa: F401 - what is loaded here need not be later

        class Ids(RandomIdGenerator):
            next = 0

            def generate_span_id(self) -> int:
                chosen, self.next = self.next, 0
                return chosen or super().generate_span_id()

        from pondage import __version__

        self._ids = Ids()
        self._exporter = exporter
        # What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say comes before this.
        named = {"service.name": os.environ.get("OTEL_SERVICE_NAME", "pondage"), "service.version": __version__}
        resource = Resource.create(named)
        self._provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("pondage", __version__)

    def begin(self, name: str, at: float, parent: Context, *, kind: SpanKind | None = None, own: str = "") -> Span:
        """Begin a span. `own`: what its id follows from; else it is a random one. On the event loop only."""
        from opentelemetry.trace import SpanKind

        self._ids.next = span_id(own) if own else 0
        return self._tracer.start_span(name, context=parent, kind=kind or SpanKind.INTERNAL, start_time=nanoseconds(at))

    def span(
        self,
        name: str,
        begin: float,
        end: float,
        parent: Context,
        *,
        attributes: Attributes,
        failed: str | None = None,
        kind: SpanKind | None = None,
        own: str = "",
    ) -> Context:
        """A whole span, and what its children hang on. `failed` says why it did not go well; None: it did."""
        from opentelemetry.trace import StatusCode, set_span_in_context

        span = self.begin(name, begin, parent, kind=kind, own=own)
        span.set_attributes(attributes)
        if failed is not None:
            span.set_status(StatusCode.ERROR, failed)
        span.end(nanoseconds(max(begin, end)))
        return set_span_in_context(span, parent)

    def close(self) -> None:
        """Send what waits. Blocks."""
        sending = threading.Thread(target=self._provider.shutdown, name="the last traces")
        sending.start()
        sending.join(CLOSE_GRACE)
        if sending.is_alive():
            self._exporter.shutdown()
            sending.join(CLOSE_GRACE)


def nanoseconds(at: float) -> int:
    return round(at * 1e9)


def span_id(of: str) -> int:
    """The id of the span that tells of this; never 0."""
    return int.from_bytes(hashlib.blake2b(of.encode(), digest_size=8).digest()) or 1


def read(headers: Mapping[str, str]) -> Context:
    """What `traceparent` and `tracestate` say; nothing where they are none."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract(headers, Context())


def written(context: Context) -> dict[str, str]:
    """The headers that hand a context on."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier, context)
    return carrier


def within(context: Context, of: str) -> Context | None:
    """The context of the span that tells of this, in the trace of `context`; None where that is in no trace, or in one
    that nobody wants to see."""
    from opentelemetry.trace import NonRecordingSpan, SpanContext, get_current_span, set_span_in_context

    outer = get_current_span(context).get_span_context()
    if not outer.is_valid or not outer.trace_flags.sampled:
        return None
    inner = SpanContext(outer.trace_id, span_id(of), False, outer.trace_flags, outer.trace_state)
    return set_span_in_context(NonRecordingSpan(inner), context)
