"""Who is answered while nobody has to show a key: programs on this machine, and pages of our own. No page of the web's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import falcon
import falcon.asgi

from peopleinfo.settings import is_loopback

if TYPE_CHECKING:
    from peopleinfo.auth.authenticator import Authenticator

_REMEMBERED: Final = 1_000


class LocalhostOnly:
    """Refuses what a browser would carry here for somebody else's page.

    A page whose name was made to mean 127.0.0.1 (DNS rebinding) sends its own name as Host: 421. A page of another origin sends its
    Origin: 403.
    """

    def __init__(
        self, gate: Authenticator, origins: frozenset[str] = frozenset(), *, unix_socket: bool = False
    ) -> None:
        """Refuse only as long as `gate` lets in who shows nothing: a page of somebody else's has no key to show.

        Pages of `origins` are answered, but never those of every origin. No browser connects to a `unix_socket`, but a proxy in front of it
        may pass a browser's Host on. Programs send any name there; names without a period are accepted, which no page of the web has.
        """
        self._unix_socket = unix_socket
        self._origins = origins
        self._gate = gate
        self._answered: set[str] = set()

    async def process_request(self, req: falcon.asgi.Request, _: falcon.asgi.Response) -> None:
        """Raise falcon's error for 421 or 403."""
        host = req.get_header("Host")
        if host is None or not self._gate.allows_anonymous:
            return  # HTTP/1.0, which no browser speaks
        if host not in self._answered:
            if not self._is_ours(_without_port(host)):
                raise falcon.HTTPError(
                    421,
                    description="this service answers to names of this machine alone, such as 127.0.0.1 or localhost; "
                    "a proxy has to send one as Host, or say PEOPLEINFO_ALLOW_ANONYMOUS=true to answer to every name",
                )
            if len(self._answered) < _REMEMBERED:
                self._answered.add(host)
        origin = req.get_header("Origin")
        if origin is not None and origin.partition("://")[2] != host and origin not in self._origins:
            raise falcon.HTTPForbidden(description="pages of other origins are not answered")

    def _is_ours(self, name: str) -> bool:
        return is_loopback(name) or (self._unix_socket and "." not in name and ":" not in name)


def _without_port(host: str) -> str:
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
