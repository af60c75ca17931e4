"""Tracing (OpenTelemetry): exports spans of requests, cache and store by OTLP if an endpoint is set; otherwise no library is loaded.

The standard variables configure the export: `OTEL_EXPORTER_OTLP_ENDPOINT` (or `…_TRACES_ENDPOINT`), `…_HEADERS`, `OTEL_TRACES_SAMPLER` and its
argument, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_SDK_DISABLED`. No attribute contains data of persons or clients.
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

_NO_SPAN: Final = nullcontext()
_SERVER_ERROR: Final = 500
_tracer: Tracer | None = None


def is_configured(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether the environment sets an endpoint for traces."""
    endpoint = environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    return bool(endpoint) and environment.get("OTEL_SDK_DISABLED", "").lower() != "true"


@contextmanager
def configured(instance: str) -> Iterator[None]:
    """Export traces within this context if an endpoint is set; export the remaining spans at the end."""
    global _tracer  # noqa: PLW0603 - one tracer per process
    if not is_configured():
        yield
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - 30 MB, 0.3 s
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    service = {"service.name": os.environ.get("OTEL_SERVICE_NAME") or "peopleinfo"}
    resource = Resource.create({**service, "service.version": __version__, "service.instance.id": instance})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = provider.get_tracer("peopleinfo", __version__)
    try:
        yield
    finally:
        _tracer = None
        provider.shutdown()


def enabled() -> bool:
    """Return whether traces are exported."""
    return _tracer is not None


def span(kind: str, operation: str) -> AbstractContextManager[Any]:
    """Return a child span of the current request; a no-op if tracing is off."""
    if _tracer is None:
        return _NO_SPAN
    current: AbstractContextManager[Any] = _tracer.start_as_current_span(
        f"{kind}.{operation}", record_exception=False, set_status_on_exception=False
    )
    return current


def set_attribute(name: str, value: str) -> None:
    """Set an attribute of the current span; the value is one of a few words, never personal data."""
    if _tracer is not None:
        from opentelemetry import trace  # noqa: PLC0415 - already loaded

        trace.get_current_span().set_attribute(f"peopleinfo.{name}", value)


async def request(handler: Callable[..., Awaitable[None]], scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Handle a request within a span, a child of the client's span if `traceparent` is set (W3C)."""
    from opentelemetry.trace import NoOpTracer, SpanKind  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    carrier = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in scope["headers"]
        if name in _CONTEXT_HEADERS and len(value) <= _MAX_CONTEXT_LENGTH
    }
    parent = TraceContextTextMapPropagator().extract(carrier)
    tracer = _tracer or NoOpTracer()  # tracing may have been shut down meanwhile
    with tracer.start_as_current_span(
        "request", context=parent, kind=SpanKind.SERVER, record_exception=False, set_status_on_exception=False
    ) as current:
        scope["span"] = current
        await handler(scope, receive, send)


_CONTEXT_HEADERS: Final = (b"traceparent", b"tracestate")
_MAX_CONTEXT_LENGTH: Final = (
    512  # the length that W3C requires vendors to propagate; the library would log a longer one
)


def end_request_span(current: Span, route: str, method: str, status: int) -> tuple[str, str]:
    """Set the attributes of a request's span; return the trace id and the `traceresponse` header (W3C)."""
    from opentelemetry.trace import StatusCode  # noqa: PLC0415

    current.update_name(f"{method} {route}")
    current.set_attributes({"http.route": route, "http.request.method": method, "http.response.status_code": status})
    if status >= _SERVER_ERROR:
        current.set_status(StatusCode.ERROR)
    context = current.get_span_context()
    trace_id = f"{context.trace_id:032x}"
    return trace_id, f"00-{trace_id}-{context.span_id:016x}-{context.trace_flags:02x}"
