"""Header lines of earlier requests: what the hot path knows of a request without parsing it (docs/adr/0022).

A client sends the same header lines with every request. A load balancer adds lines that differ, for example a trace id. No response to a
read depends on these, except on the client address for the limits of anonymous clients and the audit log.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from peopleinfo.http.middleware.auth import bearer

if TYPE_CHECKING:
    from peopleinfo.http.middleware.host_check import LocalhostOnly

    Headers = list[tuple[bytes, bytes]]

_MAX_HEADS: Final = 1_000  # different header lines; then the oldest ones are forgotten
_MAX_HEAD_SIZE: Final = 4_096  # bytes
_MAX_VARYING: Final = 24  # lines; with the other ones at most MAX_HEADERS
# Header lines that do not change the response to a read, except the credential.
_NEUTRAL: Final = frozenset(
    (b"host", b"authorization", b"user-agent", b"accept", b"accept-encoding", b"accept-language", b"connection")
)
_VARYING_NAMES: Final = (
    b"x-amzn-trace-id|x-forwarded-(?:for|port|proto|host)|x-real-ip|forwarded|via"
    b"|x-request-id|x-correlation-id|x-cloud-trace-context|traceparent|tracestate|baggage"
)
# A line with any characters that a value may have. The search for a line end is faster than that for a name.
_VARYING: Final = re.compile(rb"\r\n(?:%b):[\t -~\x80-\xff]*(?=\r\n)" % _VARYING_NAMES, re.IGNORECASE)
_IS_VARYING: Final = re.compile(_VARYING_NAMES).fullmatch
_FORWARDED_FOR: Final = re.compile(rb"\r\nx-forwarded-for:([^\r\n]*)", re.IGNORECASE)
_ENDS: Final = 2  # line ends of a head without header lines


class KnownHeaders:
    """The credentials that header lines of earlier requests contain."""

    def __init__(self, hosts: LocalhostOnly | None) -> None:
        """Learn only header lines with a Host that `hosts` accepts, if it is given."""
        self._hosts = hosts
        self.credentials: dict[bytes, str] = {}
        """The credential of header lines without varying ones, "" if they have none."""

    def varying_credential(self, head: bytes) -> str | None:
        """Return the credential in header lines of which some vary, "" if they have none, None if the lines are unknown.

        `head` is a request from the end of its request line.
        """
        if len(head) > _MAX_HEAD_SIZE:
            return None
        constant, lines = _VARYING.subn(b"", head)
        return self.credentials.get(constant) if 0 < lines <= _MAX_VARYING else None

    def learn(self, head: bytes, headers: Headers) -> None:
        """Remember the header lines of a request that the server has parsed, if only the credential matters."""
        constant = [header for header in headers if not _IS_VARYING(header[0])]
        by_name = dict(constant)
        lines = _VARYING.sub(b"", head)
        is_plain = len(by_name) == len(constant) == lines.count(b"\n") - _ENDS  # no line is repeated or folded
        is_complete = b"host" in by_name and by_name.keys() <= _NEUTRAL  # HTTP/1.0 needs no Host
        if not is_plain or not is_complete or len(head) > _MAX_HEAD_SIZE:
            return
        header = by_name.get(b"authorization")
        credential = "" if header is None else bearer(header.decode("latin-1"))
        if (
            (credential or header is None)
            and by_name.get(b"connection", b"keep-alive").lower() == b"keep-alive"
            and (self._hosts is None or self._hosts.accepts(by_name[b"host"].decode("latin-1")))
        ):
            self._remember(lines, credential)

    def _remember(self, lines: bytes, credential: str) -> None:
        if len(self.credentials) >= _MAX_HEADS and lines not in self.credentials:
            del self.credentials[next(iter(self.credentials))]
        self.credentials[lines] = credential


def forwarded_for(head: bytes) -> str:
    """Return the value of the header X-Forwarded-For; several lines are joined by commas."""
    return b",".join(_FORWARDED_FOR.findall(head)).decode("latin-1")
