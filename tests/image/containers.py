"""Images and containers of this machine, managed by buildah and podman in a separate storage."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT: Final = Path(__file__).parents[2]
HANGS: Final = 60
EPOCH: Final = "1700000000"
BASE: Final = "python:3.13-slim"
_TOOLS: Final = ("buildah", "podman", "mmdebstrap")
# Debian's Python 3.13, arranged like the official image, which is not available without a network.
# Packages are unpacked but not configured, which takes a third of the time. Documentation is left out.
_PACKAGES: Final = "base-files,base-passwd,coreutils,dash,findutils,python3,python3-pip,python3-venv"
_EXCLUDED: Final = ("doc", "info", "locale", "man")
_SETUP: Final = "mkdir -p /usr/local/bin; ln -sf /usr/bin/python3 /usr/local/bin/python; rm -f /usr/lib/python3*/EXTERNALLY-MANAGED; python -m compileall -q -j 0 /usr/lib/python3* || true"


def missing() -> str | None:
    """Return the missing requirement of a build and its remedy; None if there is none."""
    if absent := [tool for tool in _TOOLS if shutil.which(tool) is None]:
        return f"needs {', '.join(absent)} (Debian packages of these names, and runc)"
    return "needs root: run the tests of tests/image with sudo" if os.geteuid() else None


class Engine:
    """Builds images and runs containers; all its files are in one folder."""

    def __init__(self) -> None:
        memory = Path("/dev/shm")  # images consist of many short-lived files
        self._folder = folder = Path(tempfile.mkdtemp(prefix="images-", dir=memory if memory.is_dir() else None))
        self._run = tempfile.mkdtemp(prefix="run-")  # podman accepts paths of at most 50 characters
        storage = ["--root", f"{folder}/storage", "--runroot", self._run, "--storage-driver", "overlay"]
        runtime = ["--runtime", os.environ["OCI_RUNTIME"]] if "OCI_RUNTIME" in os.environ else []
        self._buildah = ["buildah", *storage]
        self._podman = ["podman", *storage, "--cgroup-manager", "cgroupfs", *runtime]

    def make_base(self) -> None:
        """Build the Python image that the Dockerfile is based on."""
        tar = self._folder / "base.tar"
        exclusions = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _EXCLUDED]
        packages = ["--variant=extract", f"--include={_PACKAGES}", *exclusions]
        _run("mmdebstrap", "--quiet", "--mode=root", *packages, "trixie", str(tar))
        container = self.buildah("from", "scratch")
        self.buildah("add", "--quiet", container, str(tar), "/")
        self.buildah("run", "--isolation", "chroot", container, "--", "sh", "-c", _SETUP)
        self.buildah("config", "--env", "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", container)
        self.buildah("commit", "--quiet", "--rm", "--disable-compression", container, f"docker.io/library/{BASE}")
        tar.unlink()

    def build(self, context: Path, name: str, **arguments: str) -> None:
        """Build the Dockerfile of a folder without a cache."""
        # The package index may be behind a proxy with a certificate that only this machine trusts.
        certificates = "/etc/ssl/certs/ca-certificates.crt"
        options = ["--format", "docker", "--isolation", "chroot", "--pull-never", "--no-cache", "--timestamp", EPOCH]
        for argument, value in arguments.items():
            options += ["--build-arg", f"{argument}={value}"]
        self.buildah("bud", *options, "--volume", f"{certificates}:{certificates}:ro", "--tag", name, str(context))

    @contextmanager
    def container(self, image: str, *options: str, command: Sequence[str] = ()) -> Iterator[str]:
        """Run a hardened container, and remove it afterwards."""
        hardened = ["--read-only", "--tmpfs=/tmp", "--cap-drop=all", "--security-opt=no-new-privileges"]
        container = self.podman(
            "run", "--detach", "--network=host", *hardened, *options, f"localhost/{image}", *command
        )
        try:
            yield container
        finally:
            self.podman("rm", "--force", "--time=0", container)

    def inspect(self, kind: str, name: str) -> dict[str, Any]:
        """Return the description of an image or a container."""
        (description,) = json.loads(self.podman("inspect", "--type", kind, name))
        return dict(description)

    def buildah(self, *arguments: str) -> str:
        """Run buildah and return its output."""
        return _run(*self._buildah, *arguments)

    def podman(self, *arguments: str) -> str:
        """Run podman and return its output."""
        return _run(*self._podman, *arguments)

    def remove_all(self) -> None:
        """Remove every image and container."""
        self.podman("system", "reset", "--force")
        shutil.rmtree(self._folder, ignore_errors=True)
        shutil.rmtree(self._run, ignore_errors=True)


def settings(port: int) -> list[str]:
    """Return the options of a container that listens on loopback only and allows anonymous access."""
    variables = {"HOST": "127.0.0.1", "PORT": str(port), "ALLOW_ANONYMOUS": "true"}
    return [f"--env=PEOPLEINFO_{name}={value}" for name, value in variables.items()]


def is_ready(url: str) -> bool:
    """Return whether a service is ready."""
    try:
        return httpx.get(f"{url}/status").status_code == 200
    except httpx.TransportError:
        return False


def wait_until(condition: Any, problem: str) -> Any:
    """Wait until a function returns a true value, and return it."""
    deadline = monotonic() + HANGS
    while not (result := condition()):
        assert monotonic() < deadline, problem
        sleep(0.02)
    return result


def _run(*command: str) -> str:
    completed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert completed.returncode == 0, f"{' '.join(command)}\n{completed.stdout[-4000:]}\n{completed.stderr[-4000:]}"
    return completed.stdout.strip()
