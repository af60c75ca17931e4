"""Listening sockets: every address of a host, or a Unix socket."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from peopleinfo.errors import InvalidSettings
from peopleinfo.settings import PREFIX, is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from peopleinfo.settings import Settings

_BACKLOG: Final = 2048
_MAX_ATTEMPTS: Final = 20  # to find a port that is free on every address
_FAMILY_ERRORS: Final = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
_UMASK: Final = 0o117  # gives a socket mode 0660
_WILDCARD: Final = "::"


class _Address(NamedTuple):
    family: int
    address: Any  # argument of `socket.bind`


@contextmanager
def listening(settings: Settings) -> Iterator[list[socket.socket]]:
    """Listen on the host and port of the settings. Raises InvalidSettings."""
    with ExitStack() as stack:
        if settings.socket_path:
            yield [stack.enter_context(_unix_socket(settings.socket_path))]
        else:
            yield [stack.enter_context(closing(listener)) for listener in _listen(settings)]


def urls(sockets: list[socket.socket]) -> str:
    """Return the URLs of the sockets, joined by "and"."""
    return " and ".join(map(_url, sockets))


def instance_name(sockets: list[socket.socket]) -> str:
    """Return the name of this instance: the host name, and the port or path."""
    address = sockets[0].getsockname()
    return f"{socket.gethostname()}:{address if isinstance(address, str) else address[1]}"


def _url(listener: socket.socket) -> str:
    address = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"unix:{address}"
    host, port = address[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _listen(settings: Settings) -> list[socket.socket]:
    addresses = _addresses(settings)
    for attempt in range(_MAX_ATTEMPTS):
        try:
            return _bind(addresses, settings)
        except InvalidSettings:
            # Another process may use this port on the second address: try another port.
            if settings.port or len(addresses) == 1 or attempt == _MAX_ATTEMPTS - 1:
                raise
    raise AssertionError


def _bind(addresses: list[_Address], settings: Settings) -> list[socket.socket]:
    port = settings.port
    with ExitStack() as stack:
        sockets = []
        for family, (host, _, *rest) in addresses:
            try:
                listener = socket.create_server((host, port, *rest), family=family, backlog=_BACKLOG)
            except OSError as error:
                raise InvalidSettings(_problem(settings, error, host)) from error
            sockets.append(stack.enter_context(listener))
            port = listener.getsockname()[1]
        stack.pop_all()
    return sockets


def _addresses(settings: Settings) -> list[_Address]:
    """Return every address of the host; leave out IPv6 addresses on a machine without IPv6 if others remain."""
    try:
        found = socket.getaddrinfo(settings.host.strip("[]"), settings.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InvalidSettings(_problem(settings, error, settings.host)) from error
    addresses = list(dict.fromkeys(_Address(family, address) for family, _, _, _, address in found))
    if settings.host == _WILDCARD:  # IPv6 and IPv4: a dual-stack socket would report mapped client addresses
        addresses.append(_Address(socket.AF_INET, ("0.0.0.0", settings.port)))  # noqa: S104 - requested by the setting
        return addresses
    if settings.is_local and not all(is_loopback(str(one.address[0])) for one in addresses):
        raise InvalidSettings(
            f"{PREFIX}HOST={settings.host} resolves to a non-loopback address: set {PREFIX}HOST to an IP address"
        )
    return [one for one in addresses if _has_family(one)] or addresses


def _has_family(address: _Address) -> bool:
    """Return False for an IPv6 address on a machine without IPv6."""
    if address.family != socket.AF_INET6:
        return True
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        return error.errno not in _FAMILY_ERRORS
    return True


def _problem(settings: Settings, error: OSError | UnicodeError, host: str) -> str:
    reason = error.strerror if isinstance(error, OSError) else "invalid host name"
    name = settings.host if host == settings.host else f"{settings.host} ({host})"
    remedy = f"set {PREFIX}HOST and {PREFIX}PORT"
    if ":" in host and isinstance(error, OSError) and error.errno in _FAMILY_ERRORS:
        remedy = f"if this machine has no IPv6, set {PREFIX}HOST=0.0.0.0 to listen on IPv4 only"
    return f"cannot listen on {name} port {settings.port}: {reason}; {remedy}"


@contextmanager
def _unix_socket(path: Path) -> Iterator[socket.socket]:
    """Listen on a Unix socket with mode 0660 and remove it at the end."""
    try:
        with _locked(path.parent):  # otherwise another server could remove the new socket as stale
            _remove_stale(path)
            listener = _listen_at(path)
    except OSError as error:
        raise InvalidSettings(f"cannot listen on {PREFIX}HOST=unix:{path}: {error.strerror or error}") from error
    created = path.lstat()
    with closing(listener):
        yield listener
    with suppress(OSError), _locked(path.parent):
        if os.path.samestat(created, path.lstat()):
            path.unlink()


def _listen_at(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    previous = os.umask(_UMASK)
    try:
        listener.bind(str(path))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(previous)
    return listener


def _remove_stale(path: Path) -> None:
    """Remove a stale socket, left by a crash. Raises InvalidSettings if the path is in use or not a socket."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise InvalidSettings(f"{PREFIX}HOST=unix:{path} exists and is not a socket: remove it or use another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        result = probe.connect_ex(str(path))
    if result != errno.ECONNREFUSED:
        reason = os.strerror(result) if result else "another process listens on it"
        raise InvalidSettings(f"{PREFIX}HOST=unix:{path} is in use ({reason}): use another path")
    path.unlink()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
