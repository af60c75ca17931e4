"""The Helm chart renders valid manifests for each of its values files and rejects invalid values."""

from __future__ import annotations

import copy
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from peopleinfo.console import static_files
from peopleinfo.http.openapi.document import document
from peopleinfo.settings import Settings
from tests.iac.pod_security import violations
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
def test_rendered_chart_is_valid(helm: str, validate: str, values: Path, tmp_path: Path) -> None:
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
        url.removeprefix("file://") for url in [settings.get("PEOPLEINFO_AUDIT_LOG")] if url
    ]
    assert settings.get("PEOPLEINFO_TRUSTED_PROXIES") == (None if values.stem == "trial" else "1")
    assert pod["terminationGracePeriodSeconds"] > float(settings["PEOPLEINFO_DRAIN_SECONDS"]) + 30


def test_ingress_forwards_every_path_except_metrics(helm: str) -> None:
    documents = {one["kind"]: one for one in yaml.safe_load_all(made(helm, CHART / "values" / "prod.yaml")) if one}
    (rule,) = documents["Ingress"]["spec"]["rules"]
    passed = {(one["path"], one["pathType"]) for one in rule["http"]["paths"]}

    def reached(path: str) -> bool:
        return any(path == begin or (kind == "Prefix" and path.startswith(f"{begin}/")) for begin, kind in passed)

    served = {*document()["paths"], "/", "/console", static_files.ROOT, "/docs", "/openapi.json"}
    assert {path for path in served if not reached(path)} == {"/metrics"}


@pytest.mark.parametrize(
    "wrong",
    ["image.version=latest", "settings.store_url=sqlite:///people.db", "settings.admin_key=k", "settings.oidc_client_secret=k", "settings.audit_log=stdout", "settings.retain=730d", "settings.retention_period=2y", "replicas.least=1", "ingress.enabled=true"],
)  # fmt: skip
def test_invalid_values_are_rejected(helm: str, wrong: str) -> None:
    done = run(helm, "template", "people", str(CHART), "--values", str(CHART / "values" / "qa.yaml"), "--set", wrong)
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr


def pod(helm: str, values: Path) -> dict[str, Any]:
    documents = {one["kind"]: one for one in yaml.safe_load_all(made(helm, values)) if one}
    return dict(documents["Deployment"]["spec"]["template"]["spec"])


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_pods_meet_the_restricted_standard(helm: str, values: Path) -> None:
    assert violations(pod(helm, values)) == []


API = ("containers", 0)
CONTEXT = (*API, "securityContext")
# The path in a pod, the value that is set, and the field that the standard rejects.
REFUSED = [
    (("hostNetwork",), True, "hostNetwork"),
    (("hostPID",), True, "hostPID"),
    (("hostIPC",), True, "hostIPC"),
    (("volumes", 0, "hostPath"), {"path": "/"}, "volumes[tmp].hostPath"),
    (("volumes", 0, "nfs"), {"server": "s", "path": "/"}, "volumes[tmp].nfs"),
    (("securityContext", "sysctls"), [{"name": "kernel.msgmax", "value": "1"}], "sysctls[kernel.msgmax]"),
    (("securityContext", "runAsUser"), 0, "pod.runAsUser"),
    (("securityContext", "runAsNonRoot"), False, "containers[api].runAsNonRoot"),
    (("securityContext", "seccompProfile"), None, "containers[api].seccompProfile"),
    (("securityContext", "seccompProfile"), {"type": "Unconfined"}, "pod.seccompProfile.type"),
    (("securityContext", "windowsOptions"), {"hostProcess": True}, "pod.windowsOptions.hostProcess"),
    (("securityContext", "seLinuxOptions"), {"type": "spc_t"}, "pod.seLinuxOptions"),
    (("securityContext", "appArmorProfile"), {"type": "Unconfined"}, "pod.appArmorProfile"),
    ((*CONTEXT, "privileged"), True, "containers[api].privileged"),
    ((*CONTEXT, "allowPrivilegeEscalation"), None, "containers[api].allowPrivilegeEscalation"),
    ((*CONTEXT, "procMount"), "Unmasked", "containers[api].procMount"),
    ((*CONTEXT, "runAsUser"), 0, "containers[api].runAsUser"),
    ((*CONTEXT, "runAsNonRoot"), False, "containers[api].runAsNonRoot"),
    ((*CONTEXT, "capabilities"), {"drop": ["NET_RAW"]}, "containers[api].capabilities.drop"),
    ((*CONTEXT, "capabilities"), {"drop": ["ALL"], "add": ["SYS_ADMIN"]}, "containers[api].capabilities.add[SYS_ADMIN]"),
    ((*API, "ports"), [{"containerPort": 1, "hostPort": 1}], "containers[api].hostPort"),
    ((*API, "livenessProbe", "httpGet", "host"), "169.254.169.254", "containers[api].httpGet.host"),
    (("initContainers", 0, "securityContext"), None, "initContainers[audit].allowPrivilegeEscalation"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value", "field"), REFUSED, ids=[f"{'.'.join(map(str, place))}={value}" for place, value, _ in REFUSED])  # fmt: skip
def test_each_control_of_the_restricted_standard_is_checked(helm: str, place: tuple[Any, ...], value: object, field: str) -> None:  # fmt: skip
    changed: Any = copy.deepcopy(pod(helm, CHART / "values" / "prod.yaml"))
    inside = changed
    for step in place[:-1]:
        inside = inside[step]
    inside[place[-1]] = value
    assert field in violations(changed)


def test_load_balancer_of_kubernetes_is_configured_like_the_one_of_ecs(helm: str) -> None:
    documents = {one["kind"]: one for one in yaml.safe_load_all(made(helm, CHART / "values" / "prod.yaml")) if one}
    given = documents["Ingress"]["metadata"]["annotations"]
    prefix = "alb.ingress.kubernetes.io/"
    assert given[f"{prefix}wafv2-acl-arn"].startswith("arn:aws:wafv2:")
    assert "access_logs.s3.enabled=true" in given[f"{prefix}load-balancer-attributes"]
    (health,) = re.findall(r'^    path +=\s"(.*)" #', (IAC / "app_iac" / "alb.tf").read_text(), re.MULTILINE)
    assert given[f"{prefix}healthcheck-path"] == health
    stacks = (IAC / "eks_iac" / "ssm_outputs.tf").read_text().split("balancer = {")[1].split("\n  }")[0]
    assert {name.removeprefix(prefix) for name in given} == set(re.findall(r"^    ([\w-]+) +=", stacks, re.MULTILINE))


def test_cluster_is_prepared_for_the_chart(validate: str, tmp_path: Path) -> None:
    text = (CHART.parents[1] / "kubernetes" / "eks.yaml").read_text()
    documents = {one["kind"]: one for one in yaml.safe_load_all(text)}
    labels = documents["Namespace"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert [label for label in labels if label.endswith("/pod-readiness-gate-inject")]
    assert documents["ConfigMap"]["data"]["enable-network-policy-controller"] == "true"
    parameters = documents["IngressClass"]["spec"]["parameters"]
    assert parameters["name"] == documents.pop("IngressClassParams")["metadata"]["name"]
    manifest = tmp_path / "made.yaml"  # without the EKS-specific kind, whose schema Kubernetes does not publish
    manifest.write_text(yaml.safe_dump_all(documents.values()))
    checked = run(validate, "--strict", str(manifest))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_network_policy_admits_only_named_sources(helm: str, values: Path) -> None:
    documents = {one["kind"]: one for one in yaml.safe_load_all(made(helm, values)) if one}
    if values.stem == "trial":
        assert "NetworkPolicy" not in documents
        return
    policy = documents["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["podSelector"]["matchLabels"] == documents["Deployment"]["spec"]["selector"]["matchLabels"]
    (rule,) = policy["ingress"]
    assert rule["from"], "an empty list admits every sender"
    assert [port["port"] for port in rule["ports"]] == ["http"]
    assert all(egress.get("ports") for egress in policy["egress"])
