"""The Helm chart makes what Kubernetes accepts, for each of its files of values, and refuses what would not do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from peopleinfo.console import assets
from peopleinfo.http.openapi import document
from peopleinfo.settings import Settings
from tests.iac.terraform import IAC

CHART = IAC.parent / "deploy" / "helm" / "people-info-api"
VALUES = sorted(CHART.glob("values/*.yaml"))
_HANGS = 120


@pytest.fixture
def helm() -> str:
    found = IAC.parent / ".cache" / "helm" / "helm"
    path = str(found) if found.exists() else shutil.which("helm")
    if path is None:
        assert not os.environ.get("CI"), "helm is missing: make helm"
        pytest.skip("needs Helm: make helm fetches it")
    return path


@pytest.fixture
def validate() -> str:
    found = Path(sys.executable).with_name("kubernetes-validate")
    if not found.exists():
        assert not os.environ.get("CI"), "kubernetes-validate is missing: make .venv/ready-to-scan"
        pytest.skip("needs kubernetes-validate: make iac-test")
    return str(found)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=_HANGS, check=False)


def made(helm: str, values: Path, *more: str) -> str:
    done = run(helm, "template", "people", str(CHART), "--values", str(values), *more)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_what_the_chart_makes_is_valid(helm: str, validate: str, values: Path, tmp_path: Path) -> None:
    linted = run(helm, "lint", "--strict", str(CHART), "--values", str(values))
    assert linted.returncode == 0, linted.stdout + linted.stderr
    manifest = tmp_path / "made.yaml"
    manifest.write_text(made(helm, values))
    checked = run(validate, "--strict", str(manifest))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_pods_are_hardened_and_know_their_settings(helm: str, values: Path) -> None:
    documents = {one["kind"]: one for one in yaml.safe_load_all(made(helm, values)) if one}
    pod = documents["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    audit = pod.get("initContainers", [])
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["enableServiceLinks"] is False
    for one in (container, *audit):
        assert one["image"] == container["image"]
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    settings = {one["name"]: one["value"] for one in container["env"]}
    assert Settings.load(settings | {"PEOPLEINFO_ADMIN_KEY": "k" * 64}).port == container["ports"][0]["containerPort"]
    assert [one["args"][2] for one in audit if one["restartPolicy"] == "Always"] == [
        url.removeprefix("file://") for url in [settings.get("PEOPLEINFO_AUDIT")] if url
    ]
    assert settings.get("PEOPLEINFO_PROXIES") == (None if values.stem == "trial" else "1")
    assert pod["terminationGracePeriodSeconds"] > float(settings["PEOPLEINFO_DRAIN_SECONDS"]) + 30


def test_the_ingress_passes_on_whatever_the_service_has_but_its_figures(helm: str) -> None:
    documents = {one["kind"]: one for one in yaml.safe_load_all(made(helm, CHART / "values" / "prod.yaml")) if one}
    (rule,) = documents["Ingress"]["spec"]["rules"]
    passed = {(one["path"], one["pathType"]) for one in rule["http"]["paths"]}

    def reached(path: str) -> bool:
        return any(path == begin or (kind == "Prefix" and path.startswith(f"{begin}/")) for begin, kind in passed)

    asked = {*document()["paths"], "/", "/console", assets.ROOT, "/docs", "/openapi.json"}
    assert {path for path in asked if not reached(path)} == {"/metrics"}


@pytest.mark.parametrize(
    "wrong",
    ["image.version=latest", "settings.store=sqlite:///people.db", "settings.admin_key=k", "settings.oidc_client_secret=k", "settings.audit=stdout", "settings.retain=730d", "settings.retention=2y", "replicas.least=1", "ingress.enabled=true"],
)  # fmt: skip
def test_what_would_not_do_is_refused(helm: str, wrong: str) -> None:
    done = run(helm, "template", "people", str(CHART), "--values", str(CHART / "values" / "qa.yaml"), "--set", wrong)
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr
