"""What is written down in observability/: its expressions and the figures that they use."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]

from peopleinfo.telemetry import metrics
from peopleinfo.telemetry.instruments import Histogram

ROOT: Final = Path(__file__).parents[2]
PROMETHEUS: Final = ROOT / "observability" / "prometheus"
DASHBOARDS: Final = ROOT / "observability" / "grafana" / "dashboards"


def rules(file: str) -> list[dict[str, Any]]:
    """Return the rules of a file."""
    written = yaml.safe_load((PROMETHEUS / file).read_text())
    return [rule for group in written["groups"] for rule in group["rules"]]


RECORDED: Final = {rule["record"]: rule["expr"] for rule in rules("recording.yml")}
ALERTS: Final = {rule["alert"]: rule for rule in rules("alerts.yml")}


def panels() -> dict[str, str]:
    """Return every expression that a dashboard draws, by its dashboard, panel and number."""
    drawn: dict[str, str] = {}
    for file in sorted(DASHBOARDS.glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            for number, target in enumerate(panel.get("targets", ())):
                drawn[f"{file.stem}: {panel['title']} ({number})"] = target["expr"]
    return drawn


def used(expression: str) -> set[str]:
    """Return the figures of the service in an expression, and what is recorded."""
    return set(re.findall(r"\b(?:peopleinfo_|process_|job:)[\w:]+", expression))


def figures() -> dict[str, str]:
    """Return under which names Prometheus has the figures, and what each is called here."""
    named = {figure.name: figure.name for figure in metrics.ALL}
    for figure in metrics.ALL:
        if isinstance(figure, Histogram):
            named |= {f"{figure.name}_{part}": figure.name for part in ("bucket", "count", "sum")}
    return named


def within(seconds: int, text: str) -> str:
    """Return rules or an expression in which every window, and every time that an alert waits, is short."""
    text = text.replace("$__rate_interval", f"{seconds}s")
    text = re.sub(r"\[\d+[smhd]\]", f"[{seconds}s]", text)
    return re.sub(r"for: \d+[smhd]", "for: 0s", text)
