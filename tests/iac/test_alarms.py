"""Every alarm and widget uses an existing metric of the active target group, and its threshold can be crossed.

The table of dimensions follows AWS's pages "CloudWatch metrics for your Application Load Balancer", "DynamoDB metrics and dimensions",
"Metrics for Valkey and Redis OSS" and "Amazon ECS CloudWatch metrics".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.iac.terraform import Resources, Stacks

BALANCER = [{"LoadBalancer"}, {"LoadBalancer", "TargetGroup"}, {"LoadBalancer", "AvailabilityZone"}]
TARGETS = [{"LoadBalancer", "TargetGroup"}, {"LoadBalancer", "TargetGroup", "AvailabilityZone"}]
TABLE = [{"TableName"}, {"TableName", "GlobalSecondaryIndexName"}]
OPERATION = [{"TableName", "Operation"}]
NODE = [{"CacheClusterId"}, {"CacheClusterId", "CacheNodeId"}]
SERVICE = [{"ClusterName", "ServiceName"}, {"ClusterName"}]

DIMENSIONS = {
    "AWS/ApplicationELB": {
        "RequestCount": BALANCER, "HTTPCode_Target_5XX_Count": BALANCER, "HTTPCode_Target_4XX_Count": BALANCER,
        "HTTPCode_ELB_5XX_Count": [{"LoadBalancer"}, {"LoadBalancer", "AvailabilityZone"}], "TargetResponseTime": BALANCER,
        "HealthyHostCount": TARGETS,
    },
    "AWS/DynamoDB": {
        "ConsumedReadCapacityUnits": TABLE, "ConsumedWriteCapacityUnits": TABLE, "ReadThrottleEvents": TABLE, "WriteThrottleEvents": TABLE,
        "ThrottledRequests": OPERATION, "SystemErrors": OPERATION,
    },
    "AWS/ElastiCache": {"EngineCPUUtilization": NODE, "CacheHits": NODE, "CacheMisses": NODE, "Evictions": NODE},
    "AWS/ECS": {"CPUUtilization": SERVICE, "MemoryUtilization": SERVICE},
}  # fmt: skip

# The largest threshold at which an alarm still means what it describes.
AT_MOST = {"errors": 50, "unreachable": 50, "slow": 2, "throttled": 10, "table_errors": 20, "cache_busy": 90, "cache_full": 10_000, "few_tasks": 10}  # fmt: skip


def alarms(app: Resources) -> Iterator[dict[str, Any]]:
    yield from (values for address, values in app.items() if address.startswith("aws_cloudwatch_metric_alarm."))


def series(alarm: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield the namespace, metric and dimensions of each metric of an alarm."""
    if alarm["metric_name"]:
        yield alarm["namespace"], alarm["metric_name"], alarm["dimensions"]
    for query in alarm["metric_query"] or ():
        for metric in query["metric"]:
            yield metric["namespace"], metric["metric_name"], metric["dimensions"]


def widgets(app: Resources) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield the same for every line of the dashboard."""
    for widget in json.loads(app["aws_cloudwatch_dashboard.default"]["dashboard_body"])["widgets"]:
        for namespace, metric, *rest in widget["properties"]["metrics"]:
            names = [word for word in rest if isinstance(word, str)]
            yield namespace, metric, dict(zip(names[::2], names[1::2], strict=True))


def missing(namespace: str, metric: str, dimensions: dict[str, str]) -> bool:
    return set(dimensions) not in DIMENSIONS[namespace][metric]


def test_series_of_every_alarm_and_widget_exists(stacks: Stacks) -> None:
    app = stacks.resources("app_iac")
    watched = [one for alarm in alarms(app) for one in series(alarm)] + list(widgets(app))
    assert len(watched) > 20
    assert [one for one in watched if missing(*one)] == []


def test_series_without_data_points_is_detected() -> None:
    assert missing("AWS/DynamoDB", "ThrottledRequests", {"TableName": "people-info-qa-people"})
    assert missing("AWS/DynamoDB", "SystemErrors", {"TableName": "people-info-qa-people"})


def test_alarm_fires_in_the_situation_it_describes(stacks: Stacks) -> None:
    for alarm in alarms(stacks.resources("app_iac")):
        name = alarm["alarm_name"].removeprefix("people-info-qa-")
        assert 0 < alarm["threshold"] <= AT_MOST[name], name
        assert alarm["datapoints_to_alarm"] * 60 <= 600, f"{name} fires after more than ten minutes"
        below = name == "few_tasks"
        assert alarm["comparison_operator"] == ("LessThanThreshold" if below else "GreaterThanOrEqualToThreshold")
        assert alarm["treat_missing_data"] == ("breaching" if below else "notBreaching")
        assert alarm["alarm_actions"], f"{name} notifies no recipient"


def test_throttling_of_table_and_index_is_observed(stacks: Stacks) -> None:
    app = stacks.resources("app_iac")
    index = app["module.people.aws_dynamodb_table.people"]["global_secondary_index"][0]["name"]
    watched = {(metric, dimensions.get("GlobalSecondaryIndexName")) for _, metric, dimensions in series(app['aws_cloudwatch_metric_alarm.summed["throttled"]'])}  # fmt: skip
    assert watched == {(f"{kind}ThrottleEvents", name) for kind in ("Read", "Write") for name in (None, index)}


def test_every_cache_node_has_alarms(stacks: Stacks) -> None:
    app = stacks.resources("app_iac")
    nodes = app["aws_elasticache_replication_group.default[0]"]["num_cache_clusters"]
    for name in ("cache_busy", "cache_full"):
        watched = [dimensions["CacheClusterId"] for *_, dimensions in series(app[f'aws_cloudwatch_metric_alarm.summed["{name}"]'])]  # fmt: skip
        assert watched == [f"people-info-qa-{number:03d}" for number in range(1, nodes + 1)]


def test_autoscaling_counts_requests_of_the_active_target_group(stacks: Stacks) -> None:
    app, deploy = stacks.resources("app_iac"), stacks.resources("deploy_iac")
    label = app['aws_ssm_parameter.published["alb_request_count_label"]']["insecure_value"]
    balancer, blue = app["aws_lb.default"]["arn_suffix"], app['aws_lb_target_group.default["blue"]']
    assert label == f"{balancer}/{blue['arn_suffix']}"
    (group,) = (one["target_group_arn"] for one in deploy["aws_ecs_service.default"]["load_balancer"])
    assert group.endswith(blue["arn_suffix"])
    policy = deploy["aws_appautoscaling_policy.requests[0]"]["target_tracking_scaling_policy_configuration"][0]
    assert policy["predefined_metric_specification"][0]["resource_label"] == label


@pytest.mark.parametrize("alarm", ["errors", "unreachable"])
def test_deployment_alarms_are_alarms_of_app_iac(stacks: Stacks, alarm: str) -> None:
    app, deploy = stacks.resources("app_iac"), stacks.resources("deploy_iac")
    names = app['aws_ssm_parameter.published["deployment_alarms"]']["insecure_value"].split(",")
    assert app[f'aws_cloudwatch_metric_alarm.default["{alarm}"]']["alarm_name"] in names
    assert deploy["aws_ecs_service.default"]["alarms"][0]["alarm_names"] == names


# The faults planted in app_iac, and the check that detects each.
PLANTED = [
    ("alarms.tf", 'metric = "HTTPCode_Target_5XX_Count", dimensions = local.on_balancer, threshold = 10', 'metric = "HTTPCode_Target_5XX_Count", dimensions = local.on_balancer, threshold = 10000000'),
    ("alarms.tf", "merge(local.on_table, { Operation = operation })", "local.on_table"),
    ("ssm_outputs.tf", 'aws_lb_target_group.default["blue"].arn_suffix', 'aws_lb_target_group.default["green"].arn_suffix'),
]  # fmt: skip


class Changed:
    """The stacks with a changed app_iac."""

    def __init__(self, stacks: Stacks, app: Resources) -> None:
        self._stacks, self._app = stacks, app

    def resources(self, stack: str) -> Resources:
        return self._app if stack == "app_iac" else self._stacks.resources(stack)


def test_planted_faults_of_alarms_are_detected(stacks: Stacks, tmp_path: Path) -> None:
    folder = stacks.copied("app_iac", tmp_path)
    for file, old, new in PLANTED:
        text = (folder / file).read_text()
        assert text.count(old) == 1, f"the fault no longer fits the file: {old}"
        (folder / file).write_text(text.replace(old, new))
    changed: Any = Changed(stacks, stacks.resources_in(folder))
    for check in (
        test_alarm_fires_in_the_situation_it_describes,
        test_series_of_every_alarm_and_widget_exists,
        test_autoscaling_counts_requests_of_the_active_target_group,
    ):
        with pytest.raises(AssertionError):
            check(changed)
