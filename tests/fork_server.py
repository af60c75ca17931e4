"""Runs `python -m peopleinfo` by forking a process that has imported it, because imports dominate the CPU of a short command.

`python -m tests.fork_server` is that process. A forked command has its own pid, streams, environment, working directory and exit status;
only the imports are shared. Tests of the start itself run the interpreter (tests/http/test_startup.py).
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REPOSITORY: Final = Path(__file__).parent.parent
_IMPORTS: Final = (
    "uvicorn",
    "peopleinfo.stores.cached.store",
    "peopleinfo.cli",
    "peopleinfo.console.routes",
    "peopleinfo.bulk.copy",
    "peopleinfo.stores.dynamodb.factory",
    "peopleinfo.formats",
    "peopleinfo.http.app",
    "peopleinfo.http.uvicorn_protocol",
    "peopleinfo.bulk.importer",
    "peopleinfo.stores.sqlite.factory",
    "peopleinfo.app",
)
_STREAMS: Final = 3  # stdin, stdout, stderr
_REQUEST_SIZE: Final = 1 << 20


class Forked:
    """A forked command, with the methods of `subprocess.Popen` that tests use."""

    def __init__(self, folder: Path, environment: Mapping[str, str], arguments: list[str], **streams: Any) -> None:
        """Start the command; `streams` are those of `subprocess.Popen`: stdin, stdout and stderr."""
        self.args = arguments
        self.returncode: int | None = None
        with ExitStack() as child_files:
            pipes = [
                _open_stream(number, streams.get(name), child_files)
                for number, name in enumerate(("stdin", "stdout", "stderr"))
            ]
            reading, writing = os.pipe()
            child_files.callback(os.close, writing)
            self.pid = _server.fork(
                {"folder": str(folder), "environment": dict(environment), "arguments": arguments},
                [*(child_end for _, child_end in pipes), writing],
            )
        self._status = os.fdopen(reading, "rb", buffering=0)
        self.stdin, self.stdout, self.stderr = (own_end for own_end, _ in pipes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream:
                with suppress(BrokenPipeError):
                    stream.close()
        self.wait()

    def poll(self) -> int | None:
        """Return the exit status, negative for a signal; None while the command runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status once the command has ended. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            with selectors.DefaultSelector() as ready:
                ready.register(self._status, selectors.EVENT_READ)
                if not ready.select(timeout):
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
            with self._status:
                self.returncode = int(self._status.read())
        return self.returncode

    def communicate(self, content: bytes = b"") -> tuple[bytes, bytes]:
        """Send `content` to stdin; return all of stdout and stderr once the command has ended."""
        with ThreadPoolExecutor(_STREAMS) as threads:
            threads.submit(self._send, content)
            output, errors = [threads.submit(_read, stream) for stream in (self.stdout, self.stderr)]
        self.wait()
        return output.result(), errors.result()

    def _send(self, content: bytes) -> None:
        if self.stdin:
            with suppress(BrokenPipeError), self.stdin:
                self.stdin.write(content)

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the command has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


Process = Forked | subprocess.Popen[bytes]


def run(
    folder: Path, environment: Mapping[str, str], arguments: list[str], content: bytes
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end with `content` as its stdin."""
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with Forked(folder, environment, arguments, **streams) as process:
        output, errors = process.communicate(content)
    return subprocess.CompletedProcess(arguments, process.wait(), output, errors)


def stop() -> None:
    """Stop the fork server of this process."""
    _server.stop()


class _Server:
    """The fork server of this process, started by the first command."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cleanup = ExitStack()
        self._control: socket.socket | None = None

    def fork(self, request: dict[str, Any], files: list[int]) -> int:
        """Return the pid of a new command, which inherits `files`: its streams and the pipe for its exit status."""
        with self._lock:
            if self._control is None:
                self._control = self._start()
            socket.send_fds(self._control, [json.dumps(request).encode() + b"\n"], files)
            return int(self._control.recv(_REQUEST_SIZE))

    def stop(self) -> None:
        """Stop the server if it is running."""
        self._control = None
        self._cleanup.close()

    def _start(self) -> socket.socket:
        own_end, server_end = socket.socketpair()
        command = [sys.executable, "-m", "tests.fork_server"]
        with server_end:
            process = subprocess.Popen(command, cwd=REPOSITORY, stdin=server_end.fileno())
        self._cleanup.callback(process.wait)
        return self._cleanup.enter_context(own_end)


_server = _Server()


def _open_stream(number: int, stream: Any, child_files: ExitStack) -> tuple[IO[bytes] | None, int]:
    """Return the parent's end of a stream if it is a pipe, and the command's end, which `child_files` closes if opened here."""
    if stream is None:
        return None, number
    if stream == subprocess.DEVNULL:
        file = os.open(os.devnull, os.O_RDWR)
        child_files.callback(os.close, file)
        return None, file
    if stream != subprocess.PIPE:
        return None, stream if isinstance(stream, int) else stream.fileno()
    reading, writing = os.pipe()
    own_end, child_end = (writing, reading) if number == 0 else (reading, writing)
    child_files.callback(os.close, child_end)
    return os.fdopen(own_end, "wb" if number == 0 else "rb"), child_end


def _read(stream: IO[bytes] | None) -> bytes:
    if stream is None:
        return b""
    with stream:
        return stream.read()


def main() -> None:
    """Fork for each request until the client ends; run the command in the forked process."""
    for module in _IMPORTS:
        import_module(module)
    gc.collect()
    gc.freeze()
    request = _serve_forks(socket.socket(fileno=os.dup(0)))
    if request is None:
        return
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv = ["peopleinfo", *request["arguments"]]
    runpy.run_module("peopleinfo", run_name="__main__", alter_sys=True)


def _serve_forks(control: socket.socket) -> dict[str, Any] | None:
    """Fork for each request. Return the request in the forked process, and None in the server after the client ends."""
    status_files: dict[int, int] = {}
    ended, wakeup = socket.socketpair()
    wakeup.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakeup.fileno())
    with control, ended, wakeup, selectors.DefaultSelector() as ready:
        ready.register(control, selectors.EVENT_READ)
        ready.register(ended, selectors.EVENT_READ)
        while True:
            changed = {key.fileobj for key, _ in ready.select()}
            if ended in changed:
                ended.recv(_REQUEST_SIZE)
                _report_ended(status_files)
            if control in changed:
                content, files = _receive(control)
                if not content:
                    return None
                if (pid := os.fork()) == 0:
                    signal.set_wakeup_fd(-1)
                    break
                status_files[pid] = files.pop()
                for file in files:
                    os.close(file)
                control.send(str(pid).encode())
    _become_child(files, status_files.values())
    request: dict[str, Any] = json.loads(content)
    return request


def _receive(control: socket.socket) -> tuple[bytes, list[int]]:
    """Return a request and its files; an empty request once the client has ended."""
    content, files, _, _ = socket.recv_fds(control, _REQUEST_SIZE, _STREAMS + 1)
    while content and not content.endswith(b"\n"):
        content += control.recv(_REQUEST_SIZE)
    return content, files


def _report_ended(status_files: dict[int, int]) -> None:
    """Report the exit status of each command that has ended."""
    while status_files:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        file = status_files.pop(pid)
        with suppress(BrokenPipeError):
            os.write(file, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(file)


def _become_child(files: list[int], inherited: Iterable[int]) -> None:
    """Install the streams of a command, and drop the files and signal handlers of the server."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in range(_STREAMS):
        os.dup2(files[number], number)
    for file in (*files, *inherited):
        os.close(file)


if __name__ == "__main__":
    main()
