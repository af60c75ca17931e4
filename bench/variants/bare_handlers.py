"""The least that an answer costs: given bytes from a handler of Falcon's, or from one without a framework, on the same server."""

import socket
import sys
from typing import Any

import falcon
import falcon.asgi
import uvicorn

FRAMEWORK, BODY = sys.argv[1], bytes.fromhex(sys.argv[2])


class Bare:
    """Answers any path with the same bytes."""

    async def on_get(self, _: Any, resp: falcon.asgi.Response, **__: str) -> None:
        resp.content_type = falcon.MEDIA_JSON
        resp.data = BODY


async def without_framework(_: Any, __: Any, send: Any) -> None:
    """Answer anything with the same bytes, as ASGI has it."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})


app: Any = without_framework
if FRAMEWORK == "falcon":
    app = falcon.asgi.App()
    for template in ("/v1/people", "/v1/people/{person_id}"):
        app.add_route(template, Bare())
with socket.create_server(("127.0.0.1", 0), backlog=2048) as listening:
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", file=sys.stderr, flush=True)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        http="httptools",
        server_header=False,
        proxy_headers=False,
        lifespan="off",
    )
    uvicorn.Server(config).run([listening])
