"""Rules, scrape configurations, dashboards and runbooks: they are what they say, and know of nothing that there is not."""

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
    figures,
    panels,
    used,
    within,
)

RULE_TESTS = ("rules_test.yml", "slo_rules_test.yml")
RUNBOOKS = ROOT / "docs" / "runbooks"
EXPRESSIONS = panels() | RECORDED | {name: alert["expr"] for name, alert in ALERTS.items()}


def promtool(*arguments: str) -> str:
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("needs promtool (Debian: prometheus)")
    ran = subprocess.run([tool, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_rules_are_rules() -> None:
    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", "recording.yml", "alerts.yml")


@pytest.mark.parametrize("file", RULE_TESTS)
def test_the_rules_fire_when_they_should(file: str) -> None:
    promtool("test", "rules", file)


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_tested_and_has_a_runbook(alert: str) -> None:
    tested = [test for file in RULE_TESTS for test in yaml.safe_load((PROMETHEUS / file).read_text())["tests"]]
    fires = [
        rule for test in tested for rule in test["alert_rule_test"] if rule["alertname"] == alert and rule["exp_alerts"]
    ]
    assert fires, f"no unit test in which {alert} fires"
    page = ROOT / ALERTS[alert]["annotations"]["runbook"]
    assert page == RUNBOOKS / f"{alert}.md"
    assert re.search(r"^## Look at\n- .*^## Do\n- ", page.read_text(), re.MULTILINE | re.DOTALL)


def test_every_runbook_is_of_an_alert() -> None:
    assert {page.stem for page in RUNBOOKS.glob("*.md")} == set(ALERTS)


@pytest.mark.parametrize("file", ["local.yml", "ecs.yml", "compose.yml"])
def test_prometheus_understands_its_configuration(file: str) -> None:
    promtool("check", "config", "--syntax-only", file)


def test_kubernetes_configuration_keeps_the_pods_of_the_service() -> None:
    """Debian's promtool is built without Kubernetes; so only what we rely on."""
    (job,) = yaml.safe_load((PROMETHEUS / "kubernetes.yml").read_text())["scrape_configs"]
    assert job["kubernetes_sd_configs"] == [{"role": "pod"}]
    kept = [rule["regex"] for rule in job["relabel_configs"] if rule.get("action") == "keep"]
    assert kept == ["people-info-api", "3000", "Running"]


@pytest.mark.parametrize("name", dashboards.BOARDS)
def test_the_dashboards_are_as_they_are_written_in_code(name: str) -> None:
    assert (DASHBOARDS / f"{name}.json").read_text() == dashboards.text(name), "run `make dashboards`"


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_expression_can_be_parsed_and_uses_what_there_is(name: str) -> None:
    promql_parser.parse(within(60, EXPRESSIONS[name]))
    assert used(EXPRESSIONS[name]) <= set(figures()) | set(RECORDED)


def test_every_figure_is_drawn_or_watched() -> None:
    looked_at = {name for expression in EXPRESSIONS.values() for name in used(expression)}
    names = figures()
    assert {names[name] for name in looked_at if name in names} == set(names.values())
