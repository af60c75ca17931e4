"""`peopleinfo serve` and `peopleinfo openapi`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from peopleinfo import signals
from peopleinfo.cli import options
from peopleinfo.cli.cancellation import run
from peopleinfo.cli.sockets import instance, listening, urls
from peopleinfo.errors import StoreMissing
from peopleinfo.settings import PREFIX, InvalidSettings, Settings

if TYPE_CHECKING:
    import socket

    from uvicorn import Config

    from peopleinfo.app import Application

# Longer than a load balancer keeps a connection (AWS: 60), so that it never sends into a closed one.
_IDLE_SECONDS: Final = 75
_OTHER_FILES: Final = 256  # that a process opens beside its connections: the store, the cache, the log
_DRAIN_SECONDS: Final = 30  # for requests under way when the server is told to end


@options.of_every_setting
def serve(**flags: Any) -> None:
    """Serve people over HTTP until Ctrl-C or SIGTERM; requests under way are finished first, unless it is told twice.

    Example: peopleinfo serve --port 8080 --store-url sqlite:////var/lib/people.db
    """
    settings = Settings.load(**flags)
    connections = _max_connections(settings.max_connections)
    _refuse_without_keys(settings)
    run(_check_store(settings))
    with listening(settings) as sockets:
        signals.check()
        print(
            f"PeopleInfo serves {settings.store_url} on {urls(sockets)} - see /docs; Ctrl-C ends it",
            file=sys.stderr,
            flush=True,
        )
        if connections < settings.max_connections:
            print(
                f"peopleinfo: each process accepts {connections} connections: {_few_files(settings.max_connections)}",
                file=sys.stderr,
            )
        _run(settings, sockets, connections)


def openapi() -> None:
    """Print the OpenAPI 3.1 document of the API.

    Example: peopleinfo openapi > openapi.json
    """
    import json

    from peopleinfo.http.openapi import document

    print(json.dumps(document(), indent=2, ensure_ascii=False))


def _run(settings: Settings, sockets: list[socket.socket], connections: int) -> None:
    from peopleinfo.app import Application

    if settings.workers == 1:
        from peopleinfo.cli.supervisor import Server

        app = Application(settings, instance=instance(sockets))
        Server(_config(app, settings, connections)).run(sockets)
    else:
        from peopleinfo.cli.supervisor import Supervisor, metrics_dir

        with metrics_dir() as shared:
            app = Application(settings, instance=instance(sockets), metrics_dir=shared)
            supervisor = Supervisor(_config(app, settings, connections), sockets)
            supervisor.run()
        if supervisor.has_failed:
            sys.exit(1)
        if supervisor.ended_by is not None:
            signals.exit_by_signal(supervisor.ended_by)


async def _check_store(settings: Settings) -> None:
    """Open the store once before any worker does: it is made or upgraded here, and what is wrong with it is said here."""
    from peopleinfo.app import check_audit, open_people

    check_audit(settings)
    async with open_people(settings, create=True):
        pass


def _refuse_without_keys(settings: Settings) -> None:
    """Raise InvalidSettings when others than this machine would be served and nobody has a key. Makes no store."""
    if not settings.needs_keys:
        return
    if not run(_has_keys(settings)):
        raise InvalidSettings(
            f"{PREFIX}HOST={settings.host} is not a loopback address, and nobody has a key yet: whoever reaches it would be refused.\n"
            "Make a key and start again:\n"
            f"  peopleinfo keys create --name admin --scope people:admin --store-url {settings.store_url}\n"
            f"or let everybody who reaches it read and change people:\n"
            f"  {PREFIX}ALLOW_ANONYMOUS=true peopleinfo serve\n"
            f"({PREFIX}ADMIN_KEY takes a first key from a secret.)"
        )


async def _has_keys(settings: Settings) -> bool:

    from peopleinfo.app import open_api_keys

    try:
        async with open_api_keys(settings) as keys:
            return await keys.any_exist()
    except StoreMissing:
        return False


def _max_connections(connections: int) -> int:
    """Return how many connections each process may have: as many as are set, if the system lets it open as many files.

    Raises InvalidSettings when there would be none.
    """
    try:
        import resource
    except ImportError:  # a system that has no such limit
        return connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))  # which workers inherit
    room = soft - _OTHER_FILES
    if room < 1:
        raise InvalidSettings(f"the limit of open files is {soft}: {_few_files(connections)}")
    return room


def _few_files(connections: int) -> str:
    wanted = connections + _OTHER_FILES
    return f"{PREFIX}MAX_CONNECTIONS={connections} needs a limit of {wanted} open files (ulimit -n, LimitNOFILE)"


def _config(app: Application, settings: Settings, connections: int) -> Config:
    import uvicorn

    from peopleinfo.http.uvicorn_protocol import Protocol

    return uvicorn.Config(
        app,
        workers=settings.workers,
        interface="asgi3",
        lifespan="on",
        http=Protocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        headers=[("X-Content-Type-Options", "nosniff")],
        limit_concurrency=connections,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        timeout_keep_alive=_IDLE_SECONDS,
    )
