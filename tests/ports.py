"""Ports for servers that cannot choose one themselves, or that come back on the same one."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import IO, Final

# Below those that a kernel gives to connections and to servers on port 0, so that it gives none of these away.
_FIRST, _LAST = 15_000, 32_000
_FOLDER: Final = Path(tempfile.gettempdir()) / f"peopleinfo-ports-{os.getuid()}"
_locks: list[IO[str]] = []  # until this process ends
_random: Final = random.SystemRandom()  # Hypothesis seeds the other one


def free_port() -> int:
    """Return a port that no program uses, and that no other process of the tests gets as long as this one runs."""
    _FOLDER.mkdir(exist_ok=True)
    while True:
        port = _random.randint(_FIRST, _LAST)
        lock = (_FOLDER / str(port)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as listening:
                listening.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        _locks.append(lock)
        return port


def release_all() -> None:
    """Let other processes use the ports of this one."""
    while _locks:
        _locks.pop().close()
