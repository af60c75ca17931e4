"""Traces: an OTLP receiver gets the spans of each request, without personal data."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests import valkey_servers
from tests.http.serving import HANG_TIMEOUT, Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Receiver:
    """An HTTP server that collects the spans of the exporter."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.resources: list[Any] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
                for resource in sent.resource_spans:
                    receiver.resources.append(resource.resource)
                    receiver.spans += [span for scope in resource.scope_spans for span in scope.spans]
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()
        thread.join(HANG_TIMEOUT)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{receiver.server.server_port}")
        yield receiver


def attributes(span: Any) -> dict[str, str]:
    return {one.key: one.value.string_value or str(one.value.int_value) for one in span.attributes}


def cold_read(server: Server, client: httpx.Client) -> httpx.Response:
    """Read a person that is not cached, once the cache accepts entries."""
    deadline = monotonic() + HANG_TIMEOUT
    while True:
        path = client.post("/v1/people", json={"person_surname": "Canary4711"}).headers["Location"]
        response = client.get(path, headers={"traceparent": PARENT})
        if response.headers["Cache-Status"].endswith("fwd=miss"):
            return response
        assert monotonic() < deadline


def test_cold_read_has_spans_of_request_lease_store_and_fill(tmp_path: Path, receiver: Receiver) -> None:
    with (
        valkey_servers.running_server() as cache,
        serving(tmp_path, cache_url=cache.url, cache_timeout=5, cache_fence_ttl=0.02) as server,
        httpx.Client(base_url=server.url, timeout=HANG_TIMEOUT) as client,
    ):
        response = cold_read(server, client)
        _, trace_id, span_id, flags = response.headers["Traceresponse"].split("-")
    assert (trace_id, flags) == (PARENT.split("-")[1], "01")  # the client's trace continues
    request = next(span for span in receiver.spans if span.span_id.hex() == span_id)
    assert (request.name, request.parent_span_id.hex()) == ("GET /v1/people/{person_id}", PARENT.split("-")[2])
    (read,) = [span for span in receiver.spans if span.parent_span_id == request.span_id]
    steps = sorted(
        (s for s in receiver.spans if s.parent_span_id == read.span_id), key=lambda s: s.start_time_unix_nano
    )
    assert [step.name for step in steps] == ["cache.lease", "store.get", "cache.fill"]
    assert attributes(read)["peopleinfo.source"] == "miss"
    assert attributes(request) == {
        "http.route": "/v1/people/{person_id}", "http.request.method": "GET", "http.response.status_code": "200",
    }  # fmt: skip
    assert "Canary4711" not in str(receiver.spans)
    assert attributes(receiver.resources[0])["service.name"] == "peopleinfo"
    assert f'"trace_id":"{trace_id}"' in server.log.read_text()


def test_spans_contain_the_status_and_no_personal_data(tmp_path: Path, receiver: Receiver) -> None:
    with serving(tmp_path) as server:
        httpx.get(f"{server.url}/v1/people/00000000000000000000000000000000")
        httpx.get(f"{server.url}/v1/people?surname=Canary4711")
    found = {span.name: attributes(span) for span in receiver.spans}
    assert found["GET /v1/people/{person_id}"]["http.response.status_code"] == "404"
    assert "store.find" in found
    assert "Canary4711" not in str(receiver.spans)


def test_no_span_is_sent_if_the_sampler_is_off(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    with serving(tmp_path) as server:
        httpx.get(f"{server.url}/v1/people?surname=nobody")
    assert receiver.spans == []


def test_opentelemetry_is_not_imported_without_an_endpoint() -> None:
    code = (
        "import sys\nfrom peopleinfo.telemetry import tracing\nimport peopleinfo.http.app\n"
        "with tracing.configured('here'), tracing.span('store', 'get'): tracing.set_attribute('a', 'b')\n"
        "sys.exit(tracing.enabled() or any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    assert subprocess.run([sys.executable, "-c", code], env=clean, check=False).returncode == 0
