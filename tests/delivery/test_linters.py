"""Linters accept all files outside of Python: the Dockerfile, the Compose file and the scripts."""

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
    """Return the findings of a linter; empty if there are none."""
    command = [str(Path(sys.executable).with_name(tool)), *map(str, arguments)]
    completed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return completed.stdout + completed.stderr if completed.returncode else ""


def test_hadolint_accepts_the_dockerfile() -> None:
    assert lint("hadolint", "Dockerfile") == ""


def test_hadolint_detects_a_planted_fault(tmp_path: Path) -> None:
    planted = tmp_path / "Dockerfile"
    planted.write_text("FROM python:latest\nRUN cd / && sudo apt-get install curl\n")
    assert "DL3007" in lint("hadolint", planted)


def test_compose_file_matches_its_schema() -> None:
    assert lint("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml") == ""


def test_composed_monitoring_uses_the_rules_and_dashboards_of_the_project() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    mounted = {
        name: dict(volume.removesuffix(":ro").split(":", 1) for volume in services[name]["volumes"])
        for name in ("prometheus", "grafana")
    }
    mount = mounted["prometheus"]["./observability/prometheus"]
    config = ROOT / "observability" / "prometheus" / "compose.yml"
    assert services["prometheus"]["command"][0] == f"--config.file={mount}/{config.name}"
    rules = yaml.safe_load(config.read_text())
    assert all((config.parent / file).is_file() for file in rules["rule_files"])
    (discovered,) = rules["scrape_configs"][0]["dns_sd_configs"]
    assert discovered["names"] == ["people"]
    assert f":{discovered['port']}" in services["people"]["ports"][0]
    assert services["people"]["environment"]["PEOPLEINFO_ALLOW_ANONYMOUS"] == "true", "/metrics would need a key"
    grafana, mount = services["grafana"]["environment"], mounted["grafana"]["./observability/grafana"]
    for path in (grafana["GF_PATHS_PROVISIONING"], grafana["DASHBOARDS"]):
        assert (ROOT / "observability" / "grafana" / path.removeprefix(f"{mount}/")).is_dir()
    assert grafana["PROMETHEUS_URL"] == "http://prometheus:9090"
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_script_stops_on_errors_and_passes_shellcheck(script: Path) -> None:
    assert "\nset -euo pipefail\n" in script.read_text()
    assert lint("shellcheck", script) == ""
