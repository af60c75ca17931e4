"""Protection of a server without authentication against pages of other sites."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import falcon
import falcon.asgi

from peopleinfo.settings import is_loopback

if TYPE_CHECKING:
    from peopleinfo.auth.authenticator import Authenticator
    from peopleinfo.settings import Settings

_MAX_CACHED: Final = 1_000


class LocalhostOnly:
    """Rejects requests that a browser sends for a page of another site.

    After DNS rebinding, a page sends its own name in the Host header: 421. A page of another origin sends its Origin: 403.
    """

    def __init__(self, authenticator: Authenticator, settings: Settings) -> None:
        """Check requests while `authenticator` accepts anonymous clients; pages of other sites have no credential.

        The CORS origins are accepted, but `*` is not. Browsers cannot connect to a unix socket, but a proxy may forward their Host header.
        Programs send any name there; names without a period are accepted, because no web page has such a name.
        """
        self._unix_socket = settings.socket_path is not None
        self._origins = settings.origins
        self._authenticator = authenticator
        self._accepted_hosts: set[str] = set()

    async def process_request(self, req: falcon.asgi.Request, _: falcon.asgi.Response) -> None:
        """Raise Falcon's error 421 or 403."""
        host = req.get_header("Host")
        if host is None or not self._authenticator.allows_anonymous:
            return  # HTTP/1.0: not a browser
        if not self.accepts(host):
            raise falcon.HTTPError(
                421,
                description="the Host header must name this machine, for example 127.0.0.1 or localhost; "
                "set the header in the proxy, or set PEOPLEINFO_ALLOW_ANONYMOUS=true to accept every name",
            )
        origin = req.get_header("Origin")
        if origin is not None and origin.partition("://")[2] != host and origin not in self._origins:
            raise falcon.HTTPForbidden(
                description="the origin of this page is not allowed; add it to PEOPLEINFO_CORS_ORIGINS"
            )

    def accepts(self, host: str) -> bool:
        """Return whether a Host header names this machine, or the server rejects anonymous clients."""
        if not self._authenticator.allows_anonymous or host in self._accepted_hosts:
            return True
        if not self._is_local(_without_port(host)):
            return False
        if len(self._accepted_hosts) < _MAX_CACHED:
            self._accepted_hosts.add(host)
        return True

    def _is_local(self, name: str) -> bool:
        return is_loopback(name) or (self._unix_socket and "." not in name and ":" not in name)


def _without_port(host: str) -> str:
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
