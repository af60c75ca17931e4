"""The sockets on which the service listens: every address of a host, or a Unix socket."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from peopleinfo.settings import PREFIX, InvalidSettings, is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from peopleinfo.settings import Settings

_BACKLOG: Final = 2048
_PORTS: Final = 20  # free ports to try when each has to be free for several addresses
_NO_FAMILY: Final = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
_OWNER_AND_GROUP: Final = 0o117  # the umask of a mode of 0660
_EVERYWHERE: Final = "::"


class _Address(NamedTuple):
    family: int
    place: Any  # as `socket.bind` takes it


@contextmanager
def listening(settings: Settings) -> Iterator[list[socket.socket]]:
    """Listen as the settings say. Raises InvalidSettings, saying why that is not possible."""
    with ExitStack() as stack:
        if settings.socket_path:
            yield [stack.enter_context(_unix_socket(settings.socket_path))]
        else:
            yield [stack.enter_context(closing(one)) for one in _listen(settings)]


def urls(sockets: list[socket.socket]) -> str:
    """Return where the sockets are reached, for people to read."""
    return " and ".join(map(_url, sockets))


def instance(sockets: list[socket.socket]) -> str:
    """Return a name for this instance: the host, and the port or path that tells several on a host from one another."""
    place = sockets[0].getsockname()
    return f"{socket.gethostname()}:{place if isinstance(place, str) else place[1]}"


def _url(one: socket.socket) -> str:
    place = one.getsockname()
    if one.family == socket.AF_UNIX:
        return f"unix:{place}"
    host, port = place[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _listen(settings: Settings) -> list[socket.socket]:
    addresses = _addresses(settings)
    for attempt in range(_PORTS):
        try:
            return _bind(addresses, settings)
        except InvalidSettings:
            # Another process may have the free port of the first address at the second one.
            if settings.port or len(addresses) == 1 or attempt == _PORTS - 1:
                raise
    raise AssertionError


def _bind(addresses: list[_Address], settings: Settings) -> list[socket.socket]:
    port = settings.port
    with ExitStack() as stack:
        sockets = []
        for family, (host, _, *rest) in addresses:
            try:
                one = socket.create_server((host, port, *rest), family=family, backlog=_BACKLOG)
            except OSError as error:
                raise InvalidSettings(_problem(settings, error, host)) from error
            sockets.append(stack.enter_context(one))
            port = one.getsockname()[1]
        stack.pop_all()
    return sockets


def _addresses(settings: Settings) -> list[_Address]:
    """Return every address of the host, without those of a family that this machine does not have while there are others."""
    try:
        found = socket.getaddrinfo(settings.host.strip("[]"), settings.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InvalidSettings(_problem(settings, error, settings.host)) from error
    addresses = list(dict.fromkeys(_Address(family, place) for family, _, _, _, place in found))
    if settings.host == _EVERYWHERE:  # of IPv6 and IPv4; one socket for both would report IPv4 clients as IPv6
        addresses.append(_Address(socket.AF_INET, ("0.0.0.0", settings.port)))  # noqa: S104 - as asked for
        return addresses
    if settings.is_local and not all(is_loopback(str(one.place[0])) for one in addresses):
        raise InvalidSettings(
            f"{PREFIX}HOST={settings.host} resolves to an address other than loopback: set {PREFIX}HOST to an address"
        )
    return [one for one in addresses if _has_family(one)] or addresses


def _has_family(address: _Address) -> bool:
    """Say whether this machine can listen on IPv6, for one of its addresses."""
    if address.family != socket.AF_INET6:
        return True
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        return error.errno not in _NO_FAMILY
    return True


def _problem(settings: Settings, error: OSError | UnicodeError, host: str) -> str:
    why = error.strerror if isinstance(error, OSError) else "this is not a host name"
    name = settings.host if host == settings.host else f"{settings.host} ({host})"
    remedy = f"set {PREFIX}HOST and {PREFIX}PORT"
    if ":" in host and isinstance(error, OSError) and error.errno in _NO_FAMILY:
        remedy = f"this machine may have no IPv6: {PREFIX}HOST=0.0.0.0 listens on IPv4 alone"
    return f"cannot listen on {name} port {settings.port}: {why}; {remedy}"


@contextmanager
def _unix_socket(path: Path) -> Iterator[socket.socket]:
    """Listen on a Unix socket for its owner and group, and remove it at the end."""
    try:
        with _locked(path.parent):  # so that no other server takes the new socket for one that remains
            _remove_stale(path)
            one = _listen_at(path)
    except OSError as error:
        raise InvalidSettings(f"cannot listen on {PREFIX}HOST=unix:{path}: {error.strerror or error}") from error
    made = path.lstat()
    with closing(one):
        yield one
    with suppress(OSError), _locked(path.parent):
        if os.path.samestat(made, path.lstat()):
            path.unlink()


def _listen_at(path: Path) -> socket.socket:
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(_OWNER_AND_GROUP)
    try:
        one.bind(str(path))
        one.listen(_BACKLOG)
    except OSError:
        one.close()
        raise
    finally:
        os.umask(before)
    return one


def _remove_stale(path: Path) -> None:
    """Remove a socket that remains after a crash. Raises InvalidSettings when anything else is there."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise InvalidSettings(
            f"{PREFIX}HOST=unix:{path}: a file that is not a socket is there; remove it or use another path"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        result = probe.connect_ex(str(path))
    if result != errno.ECONNREFUSED:
        why = os.strerror(result) if result else "another process listens there"
        raise InvalidSettings(f"{PREFIX}HOST=unix:{path}: a socket in use is there ({why}); use another path")
    path.unlink()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
