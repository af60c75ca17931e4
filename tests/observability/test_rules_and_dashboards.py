"""Rules, scrape configurations, dashboards and runbooks are valid and refer only to existing metrics."""

from __future__ import annotations

import re
import shutil
import subprocess

import promql_parser
import pytest
import yaml  # type: ignore[import-untyped]

from observability import dashboards
from tests.observability.expressions import (
    ALERTS,
    DASHBOARDS,
    PROMETHEUS,
    RECORDED,
    ROOT,
    metric_names,
    names_in,
    panels,
    with_windows,
)

RULE_TESTS = ("rules_test.yml", "slo_rules_test.yml")
RUNBOOKS = ROOT / "docs" / "runbooks"
EXPRESSIONS = panels() | RECORDED | {name: alert["expr"] for name, alert in ALERTS.items()}


def promtool(*arguments: str) -> str:
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("needs promtool (Debian: prometheus)")
    result = subprocess.run([tool, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_rule_files_are_valid() -> None:
    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", "recording.yml", "alerts.yml")


@pytest.mark.parametrize("file", RULE_TESTS)
def test_alerts_fire_as_their_unit_tests_expect(file: str) -> None:
    promtool("test", "rules", file)


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_tested_and_has_a_runbook(alert: str) -> None:
    tested = [test for file in RULE_TESTS for test in yaml.safe_load((PROMETHEUS / file).read_text())["tests"]]
    firing = [
        rule for test in tested for rule in test["alert_rule_test"] if rule["alertname"] == alert and rule["exp_alerts"]
    ]
    assert firing, f"no unit test covers a firing {alert}"
    page = ROOT / ALERTS[alert]["annotations"]["runbook"]
    assert page == RUNBOOKS / f"{alert}.md"
    assert re.search(r"^## Diagnosis\n- .*^## Remedy\n- ", page.read_text(), re.MULTILINE | re.DOTALL)


def test_every_runbook_belongs_to_an_alert() -> None:
    assert {page.stem for page in RUNBOOKS.glob("*.md")} == set(ALERTS)


@pytest.mark.parametrize("file", ["local.yml", "ecs.yml", "compose.yml"])
def test_scrape_configuration_is_valid(file: str) -> None:
    promtool("check", "config", "--syntax-only", file)


def test_kubernetes_configuration_selects_the_pods_of_the_service() -> None:
    """Checks only the used options, because the promtool of Debian lacks Kubernetes support."""
    (job,) = yaml.safe_load((PROMETHEUS / "kubernetes.yml").read_text())["scrape_configs"]
    assert job["kubernetes_sd_configs"] == [{"role": "pod"}]
    selected = [rule["regex"] for rule in job["relabel_configs"] if rule.get("action") == "keep"]
    assert selected == ["people-info-api", "3000", "Running"]


@pytest.mark.parametrize("name", dashboards.BOARDS)
def test_dashboard_json_matches_its_code(name: str) -> None:
    assert (DASHBOARDS / f"{name}.json").read_text() == dashboards.text(name), "run `make dashboards`"


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_expression_is_valid_and_uses_existing_metrics(name: str) -> None:
    promql_parser.parse(with_windows(60, EXPRESSIONS[name]))
    assert names_in(EXPRESSIONS[name]) <= set(metric_names()) | set(RECORDED)


def test_every_metric_appears_in_a_dashboard_or_an_alert() -> None:
    series = {name for expression in EXPRESSIONS.values() for name in names_in(expression)}
    names = metric_names()
    assert {names[name] for name in series if name in names} == set(names.values())
