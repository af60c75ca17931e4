"""Free ports for servers that cannot use port 0 or that restart on the same port."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import IO, Final

# Below the ephemeral range of the kernel, which thus never assigns these ports.
_FIRST, _LAST = 15_000, 32_000
_FOLDER: Final = Path(tempfile.gettempdir()) / f"peopleinfo-ports-{os.getuid()}"
_locks: list[IO[str]] = []  # held until this process ends
_random: Final = random.SystemRandom()  # Hypothesis seeds the default generator


def free_port() -> int:
    """Return an unused port, reserved for this test process until it ends."""
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
    """Release all ports of this process."""
    while _locks:
        _locks.pop().close()
