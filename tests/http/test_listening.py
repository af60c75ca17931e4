"""The service listens exactly as configured, or explains why it cannot."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from peopleinfo.cli import sockets
from peopleinfo.errors import InvalidSettings
from peopleinfo.settings import Settings
from tests.http.serving import HANG_TIMEOUT, environment, serving
from tests.http.test_startup import start_error

if TYPE_CHECKING:
    from collections.abc import Iterator

needs_ipv6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")


@pytest.fixture
def path() -> Iterator[Path]:
    """A path that is short enough for a socket, wherever tests have their folders."""
    with tempfile.TemporaryDirectory(prefix="peopleinfo-") as folder:
        yield Path(folder) / "people.sock"


@pytest.fixture
def client(path: Path) -> Iterator[httpx.Client]:
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=str(path)), base_url="http://localhost", timeout=HANG_TIMEOUT
    ) as created:
        yield created


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Make every host name resolve to these addresses."""
    resolve = socket.getaddrinfo
    found = [one for address in addresses for one in resolve(address, 0, type=socket.SOCK_STREAM)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


def addresses(host: str, port: int = 0) -> list[str]:
    with sockets.listening(Settings(host=host, port=port)) as opened:
        assert len({one.getsockname()[1] for one in opened}) == 1, "the addresses have different ports"
        return [one.getsockname()[0] for one in opened]


@needs_ipv6
@pytest.mark.parametrize("workers", [1, 2])
def test_two_colons_serve_ipv6_and_ipv4(tmp_path: Path, workers: int) -> None:
    with serving(tmp_path, host="::", allow_anonymous="true", workers=workers) as server:
        port = server.url.rpartition(":")[2]
        for host in ("[::1]", "127.0.0.1"):
            assert httpx.get(f"http://{host}:{port}/status", timeout=HANG_TIMEOUT).status_code == 200


@needs_ipv6
def test_every_address_of_a_host_name_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "::1", "127.0.0.1", "127.0.0.2", "127.0.0.1")
    assert addresses("localhost") == ["::1", "127.0.0.1", "127.0.0.2"]


def test_addresses_of_a_family_that_the_machine_lacks_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    without_ipv6(monkeypatch)
    resolving(monkeypatch, "::1", "127.0.0.1")
    assert addresses("localhost") == ["127.0.0.1"]


@pytest.mark.parametrize("host", ["::", "::1"])
def test_machine_without_ipv6_is_named_in_the_error(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    without_ipv6(monkeypatch)
    with pytest.raises(
        InvalidSettings, match=f"cannot listen on {host} port 0: .*no IPv6, set PEOPLEINFO_HOST=0.0.0.0"
    ):
        addresses(host)


def without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    create = socket.create_server

    def create_server(address: object, *, family: int, **options: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return create(address, family=family, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "create_server", create_server)


def test_port_in_use_at_one_of_several_addresses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "127.0.0.1", "127.0.0.2")
    with socket.create_server(("127.0.0.2", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidSettings, match=rf"localhost \(127.0.0.2\) port {port}: Address already in use"):
            addresses("localhost", port)
        socket.create_server(("127.0.0.1", port)).close()  # the first port was released


def test_loopback_name_with_another_address_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "127.0.0.1", "0.0.0.0")
    with pytest.raises(InvalidSettings, match="resolves to a non-loopback address"):
        addresses("localhost")


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a..b", "x" * 70 + ".example"])
def test_name_that_cannot_be_resolved_is_explained(tmp_path: Path, host: str) -> None:
    stderr = start_error(tmp_path, host=host, allow_anonymous="true")
    assert stderr.startswith(f"peopleinfo: cannot listen on {host} port 0: ")


@pytest.mark.parametrize("workers", [1, 2])
def test_unix_socket_serves_its_owner_and_group_without_keys(
    tmp_path: Path, path: Path, client: httpx.Client, workers: int
) -> None:
    with unix_server(tmp_path, path, workers=workers):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        created = client.post("/v1/people", json={"person_surname": "Local"})
        assert created.status_code == 201
        assert client.get(created.headers["Location"]).status_code == 200
        assert healthcheck(path) == (0, "the service responds with status 200\n", "")
    assert not path.exists()
    assert healthcheck(path)[2].startswith(f"no response on unix:{path}: ")


@contextlib.contextmanager
def unix_server(folder: Path, path: Path, **settings: object) -> Iterator[None]:
    """Serve on a Unix socket, and check that the server exits cleanly."""
    command = [sys.executable, "-m", "peopleinfo", "serve"]
    variables = environment(host=f"unix:{path}", store_url=f"sqlite:///{folder}/people.db", **settings)
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, cwd=folder, env=variables, stdout=log, stderr=subprocess.PIPE) as process,
    ):
        try:
            assert process.stderr is not None
            first = process.stderr.readline().decode()
            assert f" on unix:{path} " in first, first + process.stderr.read().decode()
            yield
            process.terminate()
            assert process.wait(HANG_TIMEOUT) == 0
            assert process.stderr.read() == b""
        finally:
            process.kill()


def healthcheck(path: Path) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "peopleinfo.http.healthcheck"]
    variables = environment(host=f"unix:{path}")
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_unix_socket_accepts_names_that_no_web_page_has(tmp_path: Path, path: Path, client: httpx.Client) -> None:
    with unix_server(tmp_path, path):
        for host in ("localhost", "127.0.0.1", "peopleinfo", "peopleinfo:80"):
            assert client.get("/status", headers={"Host": host}).status_code == 200, host
        for host in ("people.example", "192.0.2.1", "[2001:db8::1]"):
            assert client.get("/status", headers={"Host": host}).status_code == 421, host


def test_client_of_a_unix_socket_has_no_address(tmp_path: Path, path: Path, client: httpx.Client) -> None:
    with unix_server(
        tmp_path, path, audit_log=f"file://{tmp_path}/audit.jsonl", trusted_proxies=1, allow_anonymous="true"
    ):
        client.post("/v1/people", json={"person_surname": "Local"})
        client.post("/v1/people", json={"person_surname": "Far"}, headers={"X-Forwarded-For": "192.0.2.1"})
    audit = (tmp_path / "audit.jsonl").read_text()
    assert '"client":"?"' in audit
    assert '"client":"192.0.2.1"' in audit


def test_socket_that_remains_after_a_crash_is_replaced(tmp_path: Path, path: Path, client: httpx.Client) -> None:
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(str(path))
    with unix_server(tmp_path, path):
        assert client.get("/status").status_code == 200


def test_socket_in_use_is_left_alone_and_named(tmp_path: Path, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        stderr = start_error(tmp_path, host=f"unix:{path}")
        assert (
            stderr
            == f"peopleinfo: PEOPLEINFO_HOST=unix:{path} is in use (another process listens on it): use another path\n"
        )
        other.accept()[0].close()  # the probe of the server
        assert path.is_socket()


@pytest.mark.parametrize("kind", ["file", "folder", "link", "pipe"])
def test_anything_else_at_the_path_is_left_alone_and_named(tmp_path: Path, path: Path, kind: str) -> None:
    match kind:
        case "file":
            path.write_text("kept")
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to(tmp_path / "elsewhere")
        case "pipe":
            os.mkfifo(path)
    before = path.lstat()
    assert f"PEOPLEINFO_HOST=unix:{path} exists and is not a socket" in start_error(tmp_path, host=f"unix:{path}")
    assert path.lstat() == before


@pytest.mark.parametrize("host", ["unix:", "unix:relative.sock", "unix:~/people.sock", "unix:@abstract"])
def test_path_that_is_not_absolute_is_rejected(tmp_path: Path, host: str) -> None:
    assert "use unix:/absolute/path.sock" in start_error(tmp_path, host=host)


def test_path_that_cannot_be_used_is_explained(tmp_path: Path) -> None:
    assert "No such file or directory" in start_error(tmp_path, host=f"unix:{tmp_path}/missing/people.sock")
    assert "path too long" in start_error(tmp_path, host=f"unix:{tmp_path}/{'x' * 108}")


def test_socket_of_a_server_that_started_later_is_not_removed(tmp_path: Path, path: Path) -> None:
    settings = Settings(host=f"unix:{path}")
    with sockets.listening(settings), socket.socket(socket.AF_UNIX) as later:
        path.unlink()
        later.bind(str(path))
    assert path.is_socket()
