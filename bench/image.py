"""How large is the container image, how soon does it respond, and how much memory does it use while idle? (docs/docker.md)"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Final

from peopleinfo import __version__
from tests.image.containers import BASE, ROOT, Engine, is_ready, missing, settings, wait_until
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

STARTS: Final = 9
_MB: Final = 1e6


def main() -> None:
    """Build the image as the tests do, and print the table of docs/docker.md."""
    if problem := missing():
        sys.exit(f"building an image {problem}")
    engine = Engine()
    try:
        engine.make_base()
        engine.build(ROOT, "service", VERSION=__version__)
        size, base = (
            engine.inspect("image", name)["Size"] for name in ("localhost/service", f"docker.io/library/{BASE}")
        )
        waits, memory = [], []
        for _ in range(STARTS):
            with _started(engine) as (seconds, process):
                waits.append(seconds)
                memory.append(_held(process))
        print("| | bound | measured |\n|---|---|---|")
        print(f"| uncompressed, on top of its base | 150 MB | {(size - base) / _MB:.0f} MB |")
        spread = f"{median(waits):.2f} s ({min(waits):.2f} to {max(waits):.2f} in {STARTS} starts)"
        print(f"| from `run` to the first 200 of `/status` | 1 s | {spread} |")
        print(f"| memory of the idle process | | {median(memory) / _MB:.0f} MB |")
    finally:
        engine.remove_all()


@contextmanager
def _started(engine: Engine) -> Iterator[tuple[float, int]]:
    """Run a container; yield the seconds until its first response, and its process id."""
    port = free_port()
    started = perf_counter()
    with engine.container("service", *settings(port), "--volume=/data") as container:
        wait_until(lambda: is_ready(f"http://127.0.0.1:{port}"), "the service does not respond")
        yield perf_counter() - started, int(engine.inspect("container", container)["State"]["Pid"])


def _held(process: int) -> int:
    """Return the proportional set size of a process in bytes."""
    rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
    return int(rollup.partition("Pss:")[2].split()[0]) * 1024
