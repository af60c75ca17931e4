"""Rewrite copies of the stacks for version 3.39.0 of the AWS provider, the newest one that a Python package contains.

The rules are of three kinds. RENAMED and `_security_group_rule` lose nothing: the old provider has the same argument under another name.
CHANGED replaces a value that the old provider or the emulator does not accept. LEFT_OUT removes arguments and resources that are newer than the provider.
In iac/README.md, a list names the parts that CHANGED and LEFT_OUT do not apply; a test compares it with both.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

VERSION: Final = "3.39.0"

# (pattern, replacement): an argument with another name, or one that newer versions do not need.
RENAMED: Final = [
    (r'(source\s*= "hashicorp/aws"\s*\n\s*version\s*= )"[^"]*"', rf'\1"{VERSION}"'),
    (r'\n *# [^\n]*\n  backend "s3" \{[^}]*\}\n', "\n"),  # the state is stored next to the copy
    (r"ignore_changes = \[insecure_value\]", "ignore_changes = [value]"),
    (r'([\w.]+(?:\["[^"]*"\])?)\.insecure_value\b', r"nonsensitive(\1.value)"),
    (r"\binsecure_value\b", "value"),
    (r'\bdomain( +)= "vpc"', r"vpc\1= true"),
    (r'(client_id_list = \["sts\.amazonaws\.com"\])', rf'\1\n  thumbprint_list = ["{"6" * 40}"]'),
    (r'key_schema \{\n +attribute_name = ("\w+")\n +key_type +=\s"HASH"\n +\}', r"hash_key = \1"),
    (r'key_schema \{\n +attribute_name = ("\w+")\n +key_type +=\s"RANGE"\n +\}', r"range_key = \1"),
    (r"(time_unit += )", r'time_period_start = "2026-01-01_00:00"\n  \1'),
]

# name → (pattern, replacement): other values than on AWS.
CHANGED: Final = {
    "launch_type": (r"(  force_new_deployment += true)", r'  launch_type = "FARGATE"\n\1'),
    "BucketOwnerEnforced": ("BucketOwnerEnforced", "BucketOwnerPreferred"),
    "NORMALIZE_PATH": ('"NORMALIZE_PATH"', '"NONE"'),
    "cache_password_arn": (
        r"flatten\(\[for stack in aws_cloudformation_stack\.cache_user : values\(stack\.outputs\)\]\)",
        "aws_cloudformation_stack.cache_user[*].id",
    ),
    "cache_url": (
        r"\$\{aws_elasticache_replication_group\.default\[0\]\.primary_endpoint_address\}",
        "cache.example.org",
    ),
    "depends_on": (r", aws_s3_bucket_server_side_encryption_configuration\.default", ""),
}

# Type of a resource → its arguments and blocks that are removed; None removes the resource.
LEFT_OUT: Final[dict[str, tuple[str, ...] | None]] = {
    "aws_budgets_budget": ("cost_filter", "notification"),
    "aws_cloudwatch_log_group": ("deletion_protection_enabled",),
    "aws_dynamodb_table": ("deletion_protection_enabled", "recovery_period_in_days"),
    "aws_ecr_repository": ("force_delete",),
    "aws_ecs_cluster_capacity_providers": None,
    "aws_ecs_service": ("alarms", "advanced_configuration", "availability_zone_rebalancing", "capacity_provider_strategy", "deployment_configuration", "enable_ecs_managed_tags", "health_check_grace_period_seconds", "timeouts"),
    "aws_ecs_task_definition": ("runtime_platform", "skip_destroy"),
    "aws_elasticache_parameter_group": None,
    "aws_elasticache_replication_group": None,
    "aws_elasticache_subnet_group": None,
    "aws_elasticache_user_group": None,
    "aws_lb": ("desync_mitigation_mode",),
    "aws_prometheus_alert_manager_definition": None,
    "aws_prometheus_rule_group_namespace": None,
    "aws_prometheus_workspace": ("kms_key_arn",),
    "aws_s3_bucket_lifecycle_configuration": None,
    "aws_s3_bucket_server_side_encryption_configuration": None,
    "aws_s3_bucket_versioning": None,
    "aws_wafv2_web_acl": ("custom_response", "evaluation_window_sec", "rule_action_override"),
}  # fmt: skip

_SERVICES: Final = (
    "acm applicationautoscaling budgets cloudformation cloudwatch cloudwatchlogs dynamodb ec2 ecr ecs elasticache elb iam kms "
    "route53 s3 secretsmanager sns ssm sts wafv2"
)
_RULE: Final = re.compile(r'resource "aws_vpc_security_group_(ingress|egress)_rule"')


def convert(stacks: Path, endpoint: str) -> None:
    """Rewrite every file of a copy of `iac/` for the old provider and for the emulator at `endpoint`."""
    for file in stacks.rglob("*.tf"):
        text = file.read_text()
        for pattern, replacement in [*RENAMED, *CHANGED.values()]:
            text = re.sub(pattern, replacement, text)
        file.write_text(_connected("\n".join(_resources(text.split("\n"))), endpoint))


def _resources(lines: list[str]) -> list[str]:
    """Return the lines with each resource converted."""
    converted: list[str] = []
    at = 0
    while at < len(lines):
        end = _end(lines, at) + 1
        found = re.match(r'resource "(\w+)"', lines[at])
        converted += _resource(found[1], lines[at:end]) if found else lines[at:end]
        at = end
    return converted


def _resource(kind: str, lines: list[str]) -> list[str]:
    if _RULE.match(lines[0]):
        return _security_group_rule(lines)
    names = LEFT_OUT.get(kind, ())
    return [] if names is None else _without(names, lines)


def _without(names: tuple[str, ...], lines: list[str]) -> list[str]:
    """Return the lines of a resource without the named arguments and blocks, at any depth."""
    kept: list[str] = []
    at = 0
    while at < len(lines):
        found = re.match(r' +(?:dynamic ")?(\w+)"? *[={]', lines[at])
        if found and found[1] in names:
            at = _end(lines, at) + 1
        else:
            kept.append(lines[at])
            at += 1
    return kept


def _security_group_rule(lines: list[str]) -> list[str]:
    """Return the rule as the type that both directions had before 4.56."""
    text = "\n".join(lines)
    text = _RULE.sub('resource "aws_security_group_rule"', text).replace("{", f'{{\n  type = "{_direction(text)}"', 1)
    for pattern, replacement in [
        (r"\bip_protocol\b", "protocol"),
        (r"\bcidr_ipv4( +)= (.*)", r"cidr_blocks\1= [\2]"),
        (r"\breferenced_security_group_id\b", "source_security_group_id"),
    ]:
        text = re.sub(pattern, replacement, text)
    return text.split("\n")


def _direction(text: str) -> str:
    found = _RULE.match(text)
    assert found
    return found[1]


def _end(lines: list[str], first: int) -> int:
    """Return the last line of what starts in line `first`, counting brackets outside strings and comments."""
    depth = 0
    for at in range(first, len(lines)):
        code = re.sub(r"(#|//).*", "", re.sub(r'"(?:[^"\\]|\\.)*"', '""', lines[at]))
        depth += sum(code.count(one) for one in "{[(") - sum(code.count(one) for one in "}])")
        if depth <= 0:
            return at
    return len(lines) - 1


def _connected(text: str, endpoint: str) -> str:
    """Return the text with a provider that calls the emulator."""
    endpoints = "".join(f'    {service} = "{endpoint}"\n' for service in _SERVICES.split())
    return text.replace(
        'provider "aws" {',
        'provider "aws" {\n  access_key = "test"\n  secret_key = "test"\n  skip_credentials_validation = true\n'
        f"  skip_metadata_api_check = true\n  s3_force_path_style = true\n  endpoints {{\n{endpoints}  }}",
        1,
    )
