"""A Falcon handler that returns given bytes: the least that an answer costs with this framework and server."""

import socket
import sys
from typing import Any

import falcon
import falcon.asgi
import uvicorn

BODY = bytes.fromhex(sys.argv[1])


class Bare:
    """Answers any path with the same bytes."""

    async def on_get(self, _: Any, resp: falcon.asgi.Response, **__: str) -> None:
        resp.content_type = falcon.MEDIA_JSON
        resp.data = BODY


app: Any = falcon.asgi.App()
for template in ("/v1/people", "/v1/people/{person_id}"):
    app.add_route(template, Bare())
with socket.create_server(("127.0.0.1", 0), backlog=2048) as listening:
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", file=sys.stderr, flush=True)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, http="httptools", server_header=False, proxy_headers=False
    )
    uvicorn.Server(config).run([listening])
