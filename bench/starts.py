"""Does one SIGTERM end the service cleanly at any moment of its first second?

Each start gets SIGTERM at a random moment and must exit 0 within the drain time. `STARTS=100 python -m bench starts` makes fewer starts.
The moment counts from the start of the command. Its signals are blocked until Python handles them, as `env --block-signal` does
(docs/operations.md); `env` itself could still receive one before it blocks them.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from bench.markdown_tables import Table
from tests.http.serving import environment

STARTS = int(os.environ.get("STARTS", "1000"))  # starts per way to run the service
FIRST = 1.0  # seconds
DRAIN = 30.0  # seconds that the service may take to exit
COMMAND = (str(Path(sys.executable).with_name("peopleinfo")), "serve")
NAMESPACE = ("unshare", "--pid", "--fork", "--kill-child")


class Way(NamedTuple):
    """A way to run the service."""

    title: str
    workers: int
    is_pid_1: bool = False


def main() -> list[Table]:
    """Print a row per way to run the service: the exit codes."""
    table = Table("Signals during the start", "service", "starts", "ended with 0", "others")
    for way in (Way("one worker", 1), Way("two workers", 2), Way("PID 1", 1, is_pid_1=True)):
        if way.is_pid_1 and not _has_namespaces():
            print(f"{way.title}: requires permission to create PID namespaces")
            continue
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2, initializer=_block_signals) as pool:
            codes = Counter(pool.map(lambda _, way=way: _stopped(folder, way), range(STARTS)))
        others = ", ".join(f"{code}: {count}" for code, count in codes.items() if code != "0")
        table.row(way.title, f"{STARTS:,}", f"{codes['0']:,}", others or "-")
    return [table]


def _block_signals() -> None:
    """Block the signals in this thread and in the processes that it starts."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))


def _has_namespaces() -> bool:
    found = shutil.which(NAMESPACE[0]) is not None
    return found and subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0


def _stopped(folder: str, way: Way) -> str:
    settings = environment(port=0, workers=way.workers, store_url=f"sqlite:///{folder}/people.db")
    command = (*NAMESPACE, *COMMAND) if way.is_pid_1 else COMMAND
    with subprocess.Popen(command, env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        service = _child(process.pid) if way.is_pid_1 else process.pid
        time.sleep(random.uniform(0, FIRST))
        os.kill(service, signal.SIGTERM)
        try:
            return str(process.wait(DRAIN))
        except subprocess.TimeoutExpired:
            process.kill()
            return "did not end"


def _child(parent: int) -> int:
    """Return the process in the new namespace as soon as it runs the command."""
    while True:
        for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            if Path(f"/proc/{child}/comm").read_text() != f"{NAMESPACE[0]}\n":
                return int(child)
