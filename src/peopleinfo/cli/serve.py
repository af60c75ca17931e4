"""`peopleinfo serve` and `peopleinfo openapi`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from peopleinfo import signals
from peopleinfo.cli import options
from peopleinfo.cli.cancellation import run
from peopleinfo.cli.sockets import instance_name, listening, urls
from peopleinfo.errors import InvalidSettings, StoreMissing
from peopleinfo.settings import PREFIX, Settings

if TYPE_CHECKING:
    import socket

    from uvicorn import Config

    from peopleinfo.app import Application

# Longer than the idle timeout of a load balancer (AWS: 60), which must never send into a closed connection.
_KEEP_ALIVE_TIMEOUT: Final = 75
_OTHER_FILES: Final = 256  # open files of a process other than client connections: store, cache, log


@options.of_every_setting
def serve(**flags: Any) -> None:
    """Serve the API and the console over HTTP until SIGTERM or Ctrl-C.

    The server completes requests in progress before it exits. A second signal stops it immediately.

    Example: peopleinfo serve --port 8080 --store-url sqlite:////var/lib/people.db
    """
    settings = Settings.load(**flags)
    connections = _max_connections(settings.max_connections)
    _require_keys(settings)
    run(_check_store(settings))
    with listening(settings) as sockets:
        signals.check()
        print(
            f"PeopleInfo serves {settings.store_url} on {urls(sockets)} (API reference: /docs; stop with Ctrl-C)",
            file=sys.stderr,
            flush=True,
        )
        if connections < settings.max_connections:
            print(
                f"peopleinfo: each process accepts {connections} connections: {_file_limit_remedy(settings.max_connections)}",
                file=sys.stderr,
            )
        _run(settings, sockets, connections)


def openapi() -> None:
    """Print the OpenAPI 3.1 document of the API.

    Example: peopleinfo openapi > openapi.json
    """
    import json

    from peopleinfo.http.openapi.document import document

    print(json.dumps(document(), indent=2, ensure_ascii=False))


def _run(settings: Settings, sockets: list[socket.socket], connections: int) -> None:
    from peopleinfo.app import Application

    if settings.workers == 1:
        from peopleinfo.cli.supervisor import Server

        app = Application(settings, instance=instance_name(sockets))
        Server(_config(app, settings, connections)).run(sockets)
    else:
        from peopleinfo.cli.supervisor import Supervisor, metrics_dir

        with metrics_dir() as shared:
            app = Application(settings, instance=instance_name(sockets), metrics_dir=shared)
            supervisor = Supervisor(_config(app, settings, connections), sockets)
            supervisor.run()
        if supervisor.has_failed:
            sys.exit(1)
        if supervisor.ended_by is not None:
            signals.exit_by_signal(supervisor.ended_by)


async def _check_store(settings: Settings) -> None:
    """Open the store once, to create or migrate it and to report its errors before a worker starts."""
    from peopleinfo.app import check_audit, open_people

    check_audit(settings)
    async with open_people(settings, create=True):
        pass


def _require_keys(settings: Settings) -> None:
    """Raise InvalidSettings when the server would listen on a network address and no key exists. Does not create the store."""
    if not settings.needs_keys:
        return
    if not run(_has_keys(settings)):
        raise InvalidSettings(
            f"{PREFIX}HOST={settings.host} is not a loopback address and no API key exists: every request would be rejected.\n"
            "Create a key and start again:\n"
            f"  peopleinfo keys create admin --scope people:admin --store-url {settings.store_url}\n"
            "or permit every client to read and change records without a key:\n"
            f"  {PREFIX}ALLOW_ANONYMOUS=true peopleinfo serve\n"
            f"({PREFIX}ADMIN_KEY sets a first key from a secret.)"
        )


async def _has_keys(settings: Settings) -> bool:
    from peopleinfo.stores.registry import open_api_keys

    try:
        async with open_api_keys(settings) as keys:
            return await keys.any_exist()
    except StoreMissing:
        return False


def _max_connections(connections: int) -> int:
    """Return the maximum number of connections of a process: the setting, or less if the limit of open files is too low.

    Raises InvalidSettings when the limit permits no connection.
    """
    try:
        import resource
    except ImportError:  # a system without this limit
        return connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    required = connections + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= required:
        return connections
    soft = required if hard == resource.RLIM_INFINITY else min(required, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))  # inherited by workers
    available = soft - _OTHER_FILES
    if available < 1:
        raise InvalidSettings(f"the limit of open files is {soft}: {_file_limit_remedy(connections)}")
    return available


def _file_limit_remedy(connections: int) -> str:
    required = connections + _OTHER_FILES
    return f"{PREFIX}MAX_CONNECTIONS={connections} needs a limit of {required} open files (ulimit -n, LimitNOFILE)"


def _config(app: Application, settings: Settings, connections: int) -> Config:
    import uvicorn

    from peopleinfo.http.fast_protocol import FastProtocol
    from peopleinfo.http.headers import RESPONSE_HEADERS
    from peopleinfo.http.shutdown import REQUESTS_TIMEOUT

    return uvicorn.Config(
        app,
        workers=settings.workers,
        interface="asgi3",
        lifespan="on",
        http=FastProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        headers=RESPONSE_HEADERS,
        limit_concurrency=connections,
        timeout_graceful_shutdown=REQUESTS_TIMEOUT,
        timeout_keep_alive=_KEEP_ALIVE_TIMEOUT,
    )
