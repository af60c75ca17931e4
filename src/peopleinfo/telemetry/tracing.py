"""Traces (OpenTelemetry): spans of requests, cache and store, sent by OTLP when an endpoint is set; else nothing is loaded and nothing done.

What is sent is set by the standard variables: `OTEL_EXPORTER_OTLP_ENDPOINT` (or `…_TRACES_ENDPOINT`), `…_HEADERS`, `OTEL_TRACES_SAMPLER` and its
argument, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_SDK_DISABLED`. No attribute holds anything that a person or a client sent.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final

from peopleinfo import __version__

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from opentelemetry.trace import Span, Tracer

_NOTHING: Final = nullcontext()
_SERVER_ERROR: Final = 500
_tracer: Tracer | None = None


def is_configured(environment: Mapping[str, str] = os.environ) -> bool:
    """Say whether the environment names somewhere to send traces to."""
    endpoint = environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    return bool(endpoint) and environment.get("OTEL_SDK_DISABLED", "").lower() != "true"


@contextmanager
def configured(instance: str) -> Iterator[None]:
    """Send traces while this lasts, if they are asked for; what is left is sent at the end."""
    global _tracer  # noqa: PLW0603 - a process has one, as it has one log
    if not is_configured():
        yield
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - 30 MB, 0.3 s
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    known = {"service.name": os.environ.get("OTEL_SERVICE_NAME") or "peopleinfo"}
    resource = Resource.create({**known, "service.version": __version__, "service.instance.id": instance})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = provider.get_tracer("peopleinfo", __version__)
    try:
        yield
    finally:
        _tracer = None
        provider.shutdown()


def enabled() -> bool:
    """Say whether traces are sent."""
    return _tracer is not None


def span(kind: str, operation: str) -> AbstractContextManager[Any]:
    """Return the span of a step within a request; it does nothing when traces are off."""
    if _tracer is None:
        return _NOTHING
    current: AbstractContextManager[Any] = _tracer.start_as_current_span(
        f"{kind}.{operation}", record_exception=False, set_status_on_exception=False
    )
    return current


def set_attribute(name: str, value: str) -> None:
    """Write something down in the span of the step under way: one of a few words, never anybody's data."""
    if _tracer is not None:
        from opentelemetry import trace  # noqa: PLC0415 - loaded already

        trace.get_current_span().set_attribute(f"peopleinfo.{name}", value)


async def request(answer: Callable[..., Awaitable[None]], scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer a request within a span of its own, which belongs to the client's when there is a `traceparent` (W3C)."""
    from opentelemetry.trace import NoOpTracer, SpanKind  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    carrier = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in scope["headers"]
        if name in _CONTEXT and len(value) <= _CONTEXT_LENGTH
    }
    parent = TraceContextTextMapPropagator().extract(carrier)
    tracer = _tracer or NoOpTracer()  # it may have been turned off just now
    with tracer.start_as_current_span(
        "request", context=parent, kind=SpanKind.SERVER, record_exception=False, set_status_on_exception=False
    ) as current:
        scope["span"] = current
        await answer(scope, receive, send)


_CONTEXT: Final = (b"traceparent", b"tracestate")
_CONTEXT_LENGTH: Final = 512  # that a vendor has to pass on (W3C); the library would log a longer one


def end_request_span(current: Span, route: str, method: str, status: int) -> tuple[str, str]:
    """Say what a request's span was about; return the trace's id, and what tells the client of the span (W3C: traceresponse)."""
    from opentelemetry.trace import StatusCode  # noqa: PLC0415

    current.update_name(f"{method} {route}")
    current.set_attributes({"http.route": route, "http.request.method": method, "http.response.status_code": status})
    if status >= _SERVER_ERROR:
        current.set_status(StatusCode.ERROR)
    context = current.get_span_context()
    trace_id = f"{context.trace_id:032x}"
    return trace_id, f"00-{trace_id}-{context.span_id:016x}-{context.trace_flags:02x}"
