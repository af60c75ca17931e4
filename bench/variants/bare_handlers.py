"""Handlers that return given bytes, with Falcon or without a framework: the lower bound of a response on the same server."""

import socket
import sys
from typing import Any

import falcon
import falcon.asgi
import uvicorn

FRAMEWORK, BODY = sys.argv[1], bytes.fromhex(sys.argv[2])


class Bare:
    """Return the same bytes for any path."""

    async def on_get(self, _: Any, resp: falcon.asgi.Response, **__: str) -> None:
        resp.content_type = falcon.MEDIA_JSON
        resp.data = BODY

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Read the body first."""
        await req.stream.read()
        await self.on_get(req, resp)


async def without_framework(_: Any, __: Any, send: Any) -> None:
    """Return the same bytes for any request, as an ASGI application."""
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
