"""The image is small, reproducible, and runs with minimal privileges."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from peopleinfo import __version__
from tests.image.containers import BASE, ROOT, Engine, is_ready, missing, settings, wait_until
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

REVISION: Final = "0123456789abcdef0123456789abcdef01234567"
SOURCES: Final = "".join(file.read_text() for file in (ROOT / "src").rglob("*.py"))
MAX_SIZE: Final = 150 * 10**6  # bytes on top of the base


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    if problem := missing():
        pytest.skip(f"building an image {problem}")
    engine = Engine()
    try:
        engine.make_base()
        engine.build(ROOT, "service", VERSION=__version__, REVISION=REVISION)
        yield engine
    finally:
        engine.remove_all()


def state(engine: Engine, container: str) -> dict[str, Any]:
    return dict(engine.inspect("container", container)["State"])


@pytest.fixture
def service(engine: Engine) -> Iterator[tuple[str, str]]:
    """A running container and its URL."""
    port = free_port()
    with engine.container("service", *settings(port), "--volume=/data", "--healthcheck-start-period=0s") as container:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: is_ready(url), "the service does not become ready")
        yield container, url


def test_service_runs_without_privileges_on_a_read_only_root(engine: Engine, service: tuple[str, str]) -> None:
    container, url = service
    assert httpx.get(f"{url}/status").json()["version"] == __version__
    assert httpx.post(f"{url}/v1/people", json={"person_surname": "Kept"}).status_code == 201
    process = Path(f"/proc/{state(engine, container)['Pid']}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in process.splitlines())
    assert fields["Uid"].split() == ["10001"] * 4
    assert {value for name, value in fields.items() if name.startswith("Cap")} == {"0" * 16}
    with pytest.raises(AssertionError, match="Read-only file system"):
        engine.podman("exec", container, "touch", "/opt/peopleinfo/planted")


def test_health_check_distinguishes_a_running_and_an_unreachable_service(
    engine: Engine, service: tuple[str, str]
) -> None:
    container, _ = service
    assert engine.inspect("image", "localhost/service")["Healthcheck"]["Test"][0] == "CMD"
    engine.podman("healthcheck", "run", container)
    assert state(engine, container)["Health"]["Status"] == "healthy"
    with pytest.raises(AssertionError, match="no response on"):
        engine.podman("exec", "--env=PEOPLEINFO_PORT=1", container, "python", "-m", "peopleinfo.http.healthcheck")


def test_container_stops_cleanly_without_a_kill(engine: Engine, service: tuple[str, str]) -> None:
    container, url = service
    with httpx.Client(base_url=url) as client:  # it keeps its connection open
        assert client.get("/status").status_code == 200
        stopped = subprocess.run([*engine._podman, "stop", "--time=60", container], capture_output=True, check=True)
    assert b"SIGKILL" not in stopped.stderr
    assert state(engine, container)["ExitCode"] == 0


def test_stop_during_the_start_is_not_lost(engine: Engine) -> None:
    with engine.container("service", *settings(free_port()), "--volume=/data") as container:
        process = Path(f"/proc/{state(engine, container)['Pid']}/status")
        caught = 1 << (signal.SIGTERM - 1)

        def handles_sigterm() -> bool:
            return bool(int(process.read_text().partition("SigCgt:\t")[2].split()[0], 16) & caught)

        wait_until(handles_sigterm, "SIGTERM is never handled")
        stopped = subprocess.run([*engine._podman, "stop", "--time=60", container], capture_output=True, check=True)
        assert b"SIGKILL" not in stopped.stderr
        assert state(engine, container)["ExitCode"] == 0


def test_second_container_forwards_the_audit_log(engine: Engine) -> None:
    port = free_port()
    options = [*settings(port), "--volume=/data", "--env=PEOPLEINFO_AUDIT_LOG=file:///audit/audit.jsonl"]
    with engine.container("service", *options) as service:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: is_ready(url), "the service does not become ready")
        created = httpx.post(f"{url}/v1/people", json={"person_surname": "Kept"}).json()
        follow = ["audit", "follow", "/audit/audit.jsonl", "--rotate-mb", "64"]
        with engine.container("service", f"--volumes-from={service}", command=follow) as audit:
            wait_until(lambda: created["person_id"] in engine.podman("logs", audit), "the event does not arrive")


def test_image_has_labels_of_version_and_revision(engine: Engine) -> None:
    image = engine.inspect("image", "localhost/service")
    assert image["Labels"]["org.opencontainers.image.version"] == __version__
    assert image["Labels"]["org.opencontainers.image.revision"] == REVISION
    assert image["Config"]["StopSignal"] == "SIGTERM"
    assert image["Config"]["User"] == "10001:10001"


def test_image_is_small(engine: Engine) -> None:
    size = engine.inspect("image", "localhost/service")["Size"]
    assert size - engine.inspect("image", f"docker.io/library/{BASE}")["Size"] < MAX_SIZE


def test_image_contains_exactly_the_aws_services_that_it_calls(engine: Engine) -> None:
    client = "import botocore.session, sys; botocore.session.get_session().create_client(sys.argv[1], region_name='eu-west-1')"
    for service_name in re.findall(r'create_client\(\s*"(\w+)"', SOURCES):
        assert exit_code_of(engine, "python", "-c", client, service_name) == 0, service_name
    assert exit_code_of(engine, "python", "-c", client, "ec2") != 0, (
        "the descriptions of other services are in the image"
    )


def test_image_has_no_build_tools_and_is_compiled(engine: Engine) -> None:
    for module in ("pip", "setuptools", "ensurepip", "flit_core"):
        assert exit_code_of(engine, "python", "-c", f"import {module}") != 0, f"{module} is in the image"
    assert exit_code_of(engine, "sh", "-c", "command -v pip || command -v gcc || command -v curl") != 0
    uncompiled = "import pathlib, peopleinfo as p; d = pathlib.Path(p.__file__).parent; print(*(f for f in d.parent.rglob('*.py') if not list(f.parent.glob(f'__pycache__/{f.stem}.*.pyc'))), end='')"
    assert engine.podman("run", "--rm", "--entrypoint=python", "localhost/service", "-c", uncompiled) == ""


def exit_code_of(engine: Engine, entrypoint: str, *arguments: str) -> int:
    command = [*engine._podman, "run", "--rm", "--network=none", f"--entrypoint={entrypoint}", "localhost/service"]
    return subprocess.run([*command, *arguments], capture_output=True, check=False).returncode


def test_image_is_reproducible_in_another_folder(engine: Engine, tmp_path: Path) -> None:
    for name in (".dockerignore", "Dockerfile", "LICENSE", "README.md", "pyproject.toml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    for folder in ("src", "requirements"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, copy_function=shutil.copyfile
        )  # with other modification times
    engine.build(tmp_path, "again", VERSION=__version__, REVISION=REVISION)
    first, second = (engine.inspect("image", f"localhost/{name}") for name in ("service", "again"))
    # Digests are not compared: buildah includes the id of its build container, buildx does not.
    for field in ("RootFS", "Created", "Config", "History", "Architecture"):
        assert first[field] == second[field]
