"""Startup errors: a server that cannot start explains why and exits."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.commands import run as command
from tests.http.serving import COMMAND, HANG_TIMEOUT, environment, serving, started
from tests.store_kinds import store_url


def start_error(folder: Path, *flags: str, **settings: object) -> str:
    """Start a server that must fail to start, and return its error output."""
    settings = {"port": 0, "store_url": store_url("sqlite", folder)} | settings
    completed = subprocess.run(
        [*COMMAND, *flags],
        cwd=folder,
        env=environment(**settings),
        capture_output=True,
        timeout=HANG_TIMEOUT,
        check=False,
    )
    stderr = completed.stderr.decode()
    assert completed.returncode not in (0, -signal.SIGKILL), stderr
    assert "Traceback" not in stderr
    assert "PeopleInfo serves" not in stderr
    assert completed.stdout == b""
    assert stderr.startswith(("peopleinfo: ", "Usage: ")), stderr
    return stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_server_without_keys_starts_on_loopback_only(tmp_path: Path, host: str) -> None:
    stderr = start_error(tmp_path, host=host)
    assert "PEOPLEINFO_HOST" in stderr
    assert not host or "PEOPLEINFO_ALLOW_ANONYMOUS=true peopleinfo serve" in stderr
    assert not host or "peopleinfo keys create admin --scope people:admin" in stderr
    assert list(tmp_path.glob("people.db*")) == []


def test_existing_store_without_keys_is_served_on_loopback_only(tmp_path: Path) -> None:
    command(tmp_path, "export", "--store-url", store_url("sqlite", tmp_path))
    assert "peopleinfo keys create" in start_error(tmp_path, host="0.0.0.0")


def test_key_created_as_the_error_suggests_starts_the_server(tmp_path: Path) -> None:
    stderr = start_error(tmp_path, host="0.0.0.0")
    line = next(line for line in stderr.splitlines() if "peopleinfo keys create" in line)
    key = command(tmp_path, *line.split()[1:]).stdout.decode().strip()
    with serving(tmp_path, host="0.0.0.0") as server:
        url = f"http://127.0.0.1:{server.url.rpartition(':')[2]}/v1/people?surname=x"
        assert httpx.get(url).status_code == 401
        assert httpx.get(url, headers={"Authorization": f"Bearer {key}"}).status_code == 200


def test_setting_allows_anonymous_access(tmp_path: Path) -> None:
    with serving(tmp_path, host="0.0.0.0", allow_anonymous="true") as server:
        port = server.url.rpartition(":")[2]
        assert httpx.get(f"http://127.0.0.1:{port}/status").status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_server_on_loopback_requires_no_setting(tmp_path: Path, host: str) -> None:
    with serving(tmp_path, host=host) as server:
        assert httpx.get(f"{server.url}/status").status_code == 200


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6 on the loopback interface")
def test_server_listens_on_the_loopback_address_of_ipv6(tmp_path: Path) -> None:
    with serving(tmp_path, host="::1") as server:
        assert server.url.startswith("http://[::1]:")


def test_error_names_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        stderr = start_error(tmp_path, port=port)
    assert f"port {port}" in stderr
    assert "PEOPLEINFO_PORT" in stderr


def test_error_names_an_unknown_setting(tmp_path: Path) -> None:
    assert "PEOPLEINFO_THREADS is not a setting" in start_error(tmp_path, threads=2)


def test_variables_of_kubernetes_services_are_ignored(tmp_path: Path) -> None:
    links: dict[str, Any] = {
        "port": "tcp://10.96.0.7:80",
        "service_host": "10.96.0.7",
        "valkey_port": "tcp://10.96.0.8:6379",
    }
    with started(tmp_path, command=(*COMMAND, "--port", "0"), **links) as server:
        assert server.terminate() == 0


def test_error_names_all_invalid_settings(tmp_path: Path) -> None:
    stderr = start_error(tmp_path, workers=0, log_level="loud", body_timeout="-1", prot=1)
    for name in ("PEOPLEINFO_WORKERS", "PEOPLEINFO_LOG_LEVEL", "PEOPLEINFO_BODY_TIMEOUT", "PEOPLEINFO_PROT"):
        assert name in stderr


@pytest.mark.parametrize("port", ["-1", "65536", "http", "1.5"])
def test_invalid_port_is_rejected(tmp_path: Path, port: str) -> None:
    assert "PEOPLEINFO_PORT" in start_error(tmp_path, port=port)


@pytest.mark.parametrize(
    "url", ["people.db", "mysql://localhost/people", "sqlite://", "sqlite:///", "sqlite://people.db"]
)
def test_invalid_store_url_is_rejected(tmp_path: Path, url: str) -> None:
    assert "PEOPLEINFO_STORE_URL" in start_error(tmp_path, store_url=url)


def test_file_that_is_no_database_is_rejected_unchanged(tmp_path: Path) -> None:
    file = tmp_path / "people.db"
    file.write_bytes(b"dear diary, " * 1_000)
    assert "people.db" in start_error(tmp_path)
    assert file.read_bytes() == b"dear diary, " * 1_000


def test_database_of_another_program_is_rejected_unchanged(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "people.db")) as other:
        other.execute("CREATE TABLE theirs (x)")
    before = (tmp_path / "people.db").read_bytes()
    assert "another program" in start_error(tmp_path)
    assert (tmp_path / "people.db").read_bytes() == before


def test_directory_at_the_database_path_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "people.db").mkdir()
    assert "people.db is a directory; PEOPLEINFO_STORE_URL must name a file" in start_error(tmp_path)


def test_read_only_directory_is_rejected(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    if os.geteuid() == 0:  # root may write to every directory but this one
        closed = Path("/proc")
    assert "cannot open" in start_error(tmp_path, store_url=store_url("sqlite", closed))


def test_path_below_a_file_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert "cannot open" in start_error(tmp_path, store_url=store_url("sqlite", tmp_path / "file"))


@pytest.mark.parametrize("workers", [1, 2])
def test_sigint_ends_the_server_cleanly(tmp_path: Path, workers: int) -> None:
    with started(tmp_path, workers=workers) as server:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(HANG_TIMEOUT) == 0
        assert server.process.stderr is not None
        assert server.process.stderr.read() == b""


def test_database_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        httpx.post(f"{server.url}/v1/people", json={"person_name": "Anna"})
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.glob("people.db*")}
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize(("soft", "hard", "expected"), [(400, 400, 144), (300, 4_000, 1_000), (5_000, 5_000, 1_000)])
def test_limit_of_open_files_reduces_the_maximum_of_connections(soft: int, hard: int, expected: int) -> None:
    program = (
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "from peopleinfo.cli.serve import _max_connections; print(_max_connections(1_000))"
    )
    assert int(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout) == expected
