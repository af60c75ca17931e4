"""Nothing that runs outside of Python is committed with a mistake that a linter knows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
import yaml  # type: ignore[import-untyped]

ROOT: Final = Path(__file__).parents[2]
SCRIPTS: Final = [
    path
    for path in [*sorted((ROOT / "scripts").iterdir()), *sorted((ROOT / ".ci").iterdir())]
    if path.is_file() and b"bash" in path.read_bytes().partition(b"\n")[0]
]


def lint(tool: str, *arguments: str | Path) -> str:
    """Return what a linter finds fault with; nothing when it finds nothing."""
    command = [str(Path(sys.executable).with_name(tool)), *map(str, arguments)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return ran.stdout + ran.stderr if ran.returncode else ""


def test_hadolint_has_nothing_to_say_of_the_dockerfile() -> None:
    assert lint("hadolint", "Dockerfile") == ""


def test_hadolint_would_notice(tmp_path: Path) -> None:
    planted = tmp_path / "Dockerfile"
    planted.write_text("FROM python:latest\nRUN cd / && sudo apt-get install curl\n")
    assert "DL3007" in lint("hadolint", planted)


def test_the_compose_file_is_one() -> None:
    assert lint("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml") == ""


def test_what_watches_the_composed_service_has_the_projects_own_rules_and_dashboards() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    mounted = {
        name: dict(volume.removesuffix(":ro").split(":", 1) for volume in services[name]["volumes"])
        for name in ("prometheus", "grafana")
    }
    where = mounted["prometheus"]["./observability/prometheus"]
    config = ROOT / "observability" / "prometheus" / "compose.yml"
    assert services["prometheus"]["command"][0] == f"--config.file={where}/{config.name}"
    rules = yaml.safe_load(config.read_text())
    assert all((config.parent / file).is_file() for file in rules["rule_files"])
    (discovered,) = rules["scrape_configs"][0]["dns_sd_configs"]
    assert discovered["names"] == ["people"]
    assert f":{discovered['port']}" in services["people"]["ports"][0]
    assert services["people"]["environment"]["PEOPLEINFO_ALLOW_ANONYMOUS"] == "true", "/metrics would need a key"
    grafana, where = services["grafana"]["environment"], mounted["grafana"]["./observability/grafana"]
    for path in (grafana["GF_PATHS_PROVISIONING"], grafana["DASHBOARDS"]):
        assert (ROOT / "observability" / "grafana" / path.removeprefix(f"{where}/")).is_dir()
    assert grafana["PROMETHEUS_URL"] == "http://prometheus:9090"
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_stops_where_something_fails_and_shellcheck_agrees(script: Path) -> None:
    assert "\nset -euo pipefail\n" in script.read_text()
    assert lint("shellcheck", script) == ""
