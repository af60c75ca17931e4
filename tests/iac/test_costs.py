"""The cost table of iac/README.md matches the resources that each profile plans."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.iac.terraform import IAC

if TYPE_CHECKING:
    from tests.iac.terraform import Resources, Stacks

PROFILES = ("small", "standard", "prod")
_ROW = re.compile(r"^\| (.+?) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", re.MULTILINE)
_SUM = re.compile(
    r"^\| \*\*fixed costs a month\*\* \| \| \*\*(\d+)\*\* \| \*\*(\d+)\*\* \| \*\*(\d+)\*\* \|$", re.MULTILINE
)


def table() -> dict[str, tuple[float, dict[str, float]]]:
    """Return the rows of the table: name → (dollars a month of one, quantity by profile)."""
    rows = _ROW.findall((IAC / "README.md").read_text())
    return {
        name: (float(price), dict(zip(PROFILES, map(float, quantities), strict=True)))
        for name, price, *quantities in rows
    }


def of_type(resources: Resources, kind: str) -> list[dict[str, Any]]:
    return [values for address, values in resources.items() if re.search(rf"(^|\.){kind}\.", address)]


def planned(basic: Resources, app: Resources, deploy: Resources) -> dict[str, float]:
    """Return the quantities of resources with hourly or monthly prices, by the names of the table."""
    (definition,) = of_type(deploy, "aws_ecs_task_definition")
    (service,) = of_type(deploy, "aws_ecs_service")
    (scaling,) = of_type(deploy, "aws_appautoscaling_target")
    tasks = scaling["min_capacity"]
    zones = len(of_type(app, "aws_lb")[0]["subnets"])
    public = tasks if service["network_configuration"][0]["assign_public_ip"] else 0
    nodes = {one["node_type"]: one["num_cache_clusters"] for one in of_type(app, "aws_elasticache_replication_group")}
    firewalls = len(of_type(app, "aws_wafv2_web_acl_association"))
    templates = "".join(one["template_body"] for one in of_type(app, "aws_cloudformation_stack"))
    return {
        "load balancer": len(of_type(app, "aws_lb")),
        "public IPv4 address": zones + len(of_type(basic, "aws_eip")) + public,
        "NAT gateway": len(of_type(basic, "aws_nat_gateway")),
        "interface endpoint in a zone": 3 * sum(one["vpc_endpoint_type"] == "Interface" for one in of_type(basic, "aws_vpc_endpoint")),
        "Fargate, vCPU": tasks * int(definition["cpu"]) / 1024,
        "Fargate, GB of memory": tasks * int(definition["memory"]) / 1024,
        "cache node, cache.t4g.small": nodes.get("cache.t4g.small", 0),
        "cache node, cache.m7g.large": nodes.get("cache.m7g.large", 0),
        "firewall": firewalls,
        "rule of the firewall": firewalls * rules(),
        "KMS key": 1 + len(of_type(basic, "aws_kms_key")) + len(of_type(app, "aws_kms_key")),  # one belongs to bootstrap
        "secret": len(of_type(app, "aws_secretsmanager_secret")) + templates.count("AWS::SecretsManager::Secret"),
        "metric of an alarm": sum(map(metrics, of_type(app, "aws_cloudwatch_metric_alarm"))),
    }  # fmt: skip


def rules() -> int:
    """Return the number of rules in the firewall's module."""
    text = (IAC / "modules" / "firewall" / "firewall.tf").read_text()
    single = len(re.findall(r'^      name     = "|^    name     = "', text, re.MULTILINE))
    return single + len(re.findall(r"^    AWSManagedRules\w+ += \{", text, re.MULTILINE))


def metrics(alarm: dict[str, Any]) -> int:
    return sum(len(query["metric"]) for query in alarm["metric_query"] or ()) or 1


@pytest.fixture(scope="module")
def quantities(stacks: Stacks) -> dict[str, dict[str, float]]:
    made = [stacks.profiles(stack) for stack in ("basic_iac", "app_iac", "deploy_iac")]
    return {profile: planned(*(stack[profile] for stack in made)) for profile in PROFILES}


def test_cost_table_matches_the_planned_resources(quantities: dict[str, dict[str, float]]) -> None:
    listed = {profile: {name: counts[profile] for name, (_, counts) in table().items()} for profile in PROFILES}
    assert listed == quantities


def test_sums_of_the_cost_table_are_correct() -> None:
    found = _SUM.search((IAC / "README.md").read_text())
    assert found
    sums = {p: round(sum(price * counts[p] for price, counts in table().values())) for p in PROFILES}
    assert dict(zip(PROFILES, map(int, found.groups()), strict=True)) == sums
    assert 40 <= sums["small"] <= 50


def test_every_resource_type_has_a_row_or_costs_nothing(stacks: Stacks) -> None:
    used = {re.sub(r"^(module\.\w+(\[.*?\])?\.)*", "", address).split(".")[0] for stack in ("basic_iac", "app_iac", "deploy_iac") for address in stacks.resources(stack) if ".data." not in f".{address}"}  # fmt: skip
    assert {kind for kind in used if kind.startswith("aws_")} <= PAID | BY_USE | FREE


PAID = {
    "aws_lb", "aws_eip", "aws_nat_gateway", "aws_vpc_endpoint", "aws_ecs_task_definition", "aws_ecs_service",
    "aws_elasticache_replication_group", "aws_wafv2_web_acl", "aws_wafv2_web_acl_association", "aws_kms_key", "aws_secretsmanager_secret",
    "aws_cloudwatch_metric_alarm", "aws_cloudformation_stack",
}  # fmt: skip
# By requests, bytes or samples.
BY_USE = {
    "aws_cloudwatch_log_group", "aws_dynamodb_table", "aws_ecr_repository", "aws_flow_log", "aws_s3_bucket", "aws_sns_topic",
    "aws_prometheus_workspace", "aws_ecs_cluster",
}  # fmt: skip
FREE = {
    "aws_acm_certificate", "aws_acm_certificate_validation", "aws_appautoscaling_policy", "aws_appautoscaling_target", "aws_budgets_budget",
    "aws_caller_identity", "aws_cloudwatch_dashboard", "aws_default_security_group", "aws_ecr_lifecycle_policy", "aws_ecs_cluster_capacity_providers",
    "aws_elasticache_parameter_group", "aws_elasticache_subnet_group", "aws_elasticache_user_group", "aws_iam_openid_connect_provider",
    "aws_iam_policy", "aws_iam_role", "aws_iam_role_policy", "aws_iam_role_policy_attachment", "aws_internet_gateway", "aws_kms_alias",
    "aws_lb_listener", "aws_lb_listener_rule", "aws_lb_target_group", "aws_partition", "aws_route", "aws_route53_record", "aws_route_table",
    "aws_route_table_association", "aws_s3_bucket_lifecycle_configuration", "aws_s3_bucket_ownership_controls", "aws_s3_bucket_policy",
    "aws_s3_bucket_public_access_block", "aws_s3_bucket_server_side_encryption_configuration", "aws_s3_bucket_versioning", "aws_security_group",
    "aws_sns_topic_policy", "aws_sns_topic_subscription", "aws_ssm_parameter", "aws_subnet", "aws_vpc", "aws_vpc_security_group_egress_rule",
    "aws_vpc_security_group_ingress_rule",
}  # fmt: skip
