"""Lock the dependencies with hashes, for every platform, none published within the last week: `make lock`."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

COOLDOWN = timedelta(days=7)  # most malicious releases are found within days


def lock(target: str, *sources: str) -> None:
    youngest = (datetime.now(UTC) - COOLDOWN).date().isoformat()
    options = [
        "--universal",
        "--python-version",
        "3.11",
        "--generate-hashes",
        "--no-emit-index-url",
        "--no-header",
        "--upgrade",
    ]
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", *options, "--exclude-newer", youngest]
    subprocess.run([*command, *sources, "--output-file", target], check=True, stdout=subprocess.DEVNULL)


PROJECTS = ("pyproject.toml", "clients/python/pyproject.toml")
lock("requirements/dev.lock", *PROJECTS, "requirements/build.in", "--group", "dev")
# The service runs with the tested versions: the requirements of the tests decide first.
TESTED = ("--constraint", "requirements/dev.lock")
lock("requirements/run.lock", "pyproject.toml", "requirements/build.in", *TESTED)
lock("requirements/iac.lock", "requirements/iac.in", *TESTED)
lock("requirements/apply.lock", "requirements/apply.in", *TESTED)
lock("requirements/bench.lock", "requirements/bench.in", *TESTED)
lock("requirements/fuzz.lock", "requirements/fuzz.in", *TESTED)
lock("requirements/audit.lock", "requirements/audit.in", *TESTED)
PEERS = "bench/peers/matching/requirements"  # other matchers, which the tests do not use
lock(f"{PEERS}.lock", f"{PEERS}.txt")
PACKAGES = "bench/peers/packages/requirements"  # services of other packages
lock(f"{PACKAGES}.lock", f"{PACKAGES}.txt")
