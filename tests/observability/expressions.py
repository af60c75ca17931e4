"""Expressions of the rules and dashboards in observability/, and the metrics that they use."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]

from peopleinfo.telemetry import metrics
from peopleinfo.telemetry.metric_types import Histogram

ROOT: Final = Path(__file__).parents[2]
PROMETHEUS: Final = ROOT / "observability" / "prometheus"
DASHBOARDS: Final = ROOT / "observability" / "grafana" / "dashboards"


def rules(file: str) -> list[dict[str, Any]]:
    """Return the rules of a file."""
    content = yaml.safe_load((PROMETHEUS / file).read_text())
    return [rule for group in content["groups"] for rule in group["rules"]]


RECORDED: Final = {rule["record"]: rule["expr"] for rule in rules("recording.yml")}
ALERTS: Final = {rule["alert"]: rule for rule in rules("alerts.yml")}


def panels() -> dict[str, str]:
    """Return every expression of the dashboards by dashboard, panel and number."""
    expressions: dict[str, str] = {}
    for file in sorted(DASHBOARDS.glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            for number, target in enumerate(panel.get("targets", ())):
                expressions[f"{file.stem}: {panel['title']} ({number})"] = target["expr"]
    return expressions


def names_in(expression: str) -> set[str]:
    """Return the metrics and recorded series in an expression."""
    return set(re.findall(r"\b(?:peopleinfo_|process_|job:)[\w:]+", expression))


def metric_names() -> dict[str, str]:
    """Map the names of series in Prometheus to names of metrics."""
    names = {metric.name: metric.name for metric in metrics.ALL}
    for metric in metrics.ALL:
        if isinstance(metric, Histogram):
            names |= {f"{metric.name}_{part}": metric.name for part in ("bucket", "count", "sum")}
    return names


def with_windows(seconds: int, text: str) -> str:
    """Return rules or an expression with all windows set to `seconds` and all `for` delays set to zero."""
    text = text.replace("$__rate_interval", f"{seconds}s")
    text = re.sub(r"\[\d+[smhd]\]", f"[{seconds}s]", text)
    return re.sub(r"for: \d+[smhd]", "for: 0s", text)
