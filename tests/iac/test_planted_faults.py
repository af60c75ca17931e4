"""Each fault planted into a copy of the stacks fails the test for the property that it breaks.

Terraform takes seconds to start, so faults of one stack that break different tests are planted together. Each must produce its message, and
no message may appear without its fault.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.iac.terraform import Stacks


@dataclass
class Fault:
    """Replaces `old` in a file of a stack with `new`; the named test of the stack must report it."""

    name: str
    where: str
    old: str
    new: str
    test: str
    says: str


FAULTS = [
    Fault("moving tags", "basic_iac/ecr.tf", '"IMMUTABLE"', '"MUTABLE"', "images", "Tags are mutable."),
    Fault("images that nobody scans", "basic_iac/ecr.tf", "scan_on_push = true", "scan_on_push = false", "images", "Images are not scanned."),
    Fault("public addresses by themselves", "basic_iac/vpc.tf", "map_public_ip_on_launch = false", "map_public_ip_on_launch = true", "private_by_default", "Resources in a public subnet would get a public address automatically."),
    Fault("private subnets on the internet", "basic_iac/nat.tf", "nat_gateway_id         = aws_nat_gateway.default", "gateway_id = aws_internet_gateway.default.id # ", "private_by_default", "A private subnet has a route to the internet gateway."),
    Fault("roles for every repository", "basic_iac/github.tf", '"repo:${pair[0]}:environment:${pair[1]}"', '"repo:example/*:environment:${pair[1]}"', "least_privilege", "A role trusts tokens of another repository, or any token of this one."),
    Fault("workflows that make roles without bounds", "basic_iac/manage_rights.tf", 'Condition = { StringEquals = { "iam:PermissionsBoundary" = aws_iam_policy.boundary.arn } }', "Condition = local.in_region", "least_privilege", "A workflow may create a role without the boundary."),
    Fault("nothing to go back to", "basic_iac/github_permissions.tf", 'Action = "ssm:GetParameterHistory"', 'Action = "ssm:GetParameter"', "least_privilege", "The deploy role cannot read the previous version."),
    Fault("flow logs without a key", "basic_iac/flow_logs.tf", "kms_key_id        = module.key.arn", "", "private_by_default", "Flow logs are missing or not encrypted."),
    Fault("a dropped parameter", "basic_iac/ssm_outputs.tf", "    vpc_id ", "    # ", "contract_with_next_stack", "The published parameters differ from those that the next stacks read."),
    Fault("an open cache", "app_iac/security_groups.tf", 'description                  = "Only the service."\n  referenced_security_group_id = aws_security_group.service.id', 'description = "Everybody."\n  cidr_ipv4 = "0.0.0.0/0"', "private_by_default", "The cache is reachable by others than the service."),
    Fault("a service that is reached past the balancer", "app_iac/security_groups.tf", 'description                  = "Requests from the load balancer."\n  referenced_security_group_id = aws_security_group.alb.id', 'description = "Requests."\n  cidr_ipv4 = "0.0.0.0/0"', "private_by_default", "The service is reachable without the load balancer."),
    Fault("another port of the balancer", "app_iac/security_groups.tf", "https = 443 }", "https = 443, more = 8080 }", "private_by_default", "The load balancer is open on ports other than 80 and 443."),
    Fault("old TLS", "app_iac/alb.tf", "ELBSecurityPolicy-TLS13-1-2-Res-2021-06", "ELBSecurityPolicy-2016-08", "private_by_default", "HTTPS accepts older versions of TLS, or does not forward to the service."),
    Fault("metrics for everybody", "modules/firewall/firewall.tf", "for_each = var.metrics_public ? [] : [1]", "for_each = []", "blocked_requests", "/metrics is reachable from the internet, possibly in another encoding."),
    Fault("samples of requests", "modules/firewall/firewall.tf", "        metric_name                = rule.key\n        sampled_requests_enabled   = false", "        metric_name = rule.key\n        sampled_requests_enabled = true", "blocked_requests", "Samples of requests would disclose personal data."),
    Fault("a cache without TLS", "app_iac/cache.tf", "transit_encryption_enabled = true", "transit_encryption_enabled = false", "data_protection", "The connection to the cache does not use TLS."),
    Fault("a cache without a key", "app_iac/cache.tf", "  kms_key_id                 = module.people_key.arn\n", "", "data_protection", "The cache is not encrypted with the key for people."),
    Fault("a table without a key", "app_iac/dynamodb.tf", "kms_key_arn = module.people_key.arn", "", "data_protection", "The table is not encrypted with the key for people."),
    Fault("a table without recovery", "app_iac/dynamodb.tf", "recovery_days = 35", "recovery_days = 0", "data_protection", "The table, the load balancer or the audit log is not protected against deletion, or records cannot be recovered."),
    Fault("keys that can be brought back", "app_iac/dynamodb_keys.tf", "    enabled = false\n", "    enabled = true\n", "data_protection", "The keys of erased people can be restored, or the table can be deleted by mistake."),
    Fault("a password in the state", "app_iac/cache.tf", '[{ "Fn::Sub" = "{{resolve:secretsmanager:$${Password}}}" }]', '["a-password-of-16-letters"]', "data_protection", "The password is not passed by reference."),
    Fault("a cache in one zone", "app_iac/cache.tf", "multi_az_enabled           = local.cache.nodes > 1", "multi_az_enabled = false", "data_protection", "The loss of a zone would lose the cache."),
    Fault("audit events without a key", "app_iac/logs.tf", "  kms_key_id                  = module.people_key.arn\n", "", "data_protection", "Logs are not encrypted with the key for people."),
    Fault("a task that may do everything with tables", "app_iac/iam.tf", '"dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:GetItem",\n            "dynamodb:PutItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:UpdateItem",', '"dynamodb:*"', "least_privilege", "A role has a permission with a wildcard."),
    Fault("a task that may use every table", "app_iac/iam.tf", "Resource = module.people.table.arn\n", 'Resource = "*"\n', "least_privilege", "A role has a permission for every resource."),
    Fault("roles without a boundary", "app_iac/iam.tf", '"The service of ${local.name}."\n  permissions_boundary = local.basic["boundary_arn"]', '"The service."', "least_privilege", "A role has no boundary, or principals other than ECS in this account may assume it."),
    Fault("a health check that depends on the store", "app_iac/alb.tf", '"/status/live"', '"/status"', "availability", "The health check depends on the store, or uses another path: all tasks would be replaced while DynamoDB fails."),
    Fault("no weight on blue", "app_iac/alb.tf", "weight = 100", "weight = 0", "availability", "Requests go to a target group without tasks."),
    Fault("a balancer that speaks gRPC", "app_iac/alb.tf", '"HTTP1"', '"GRPC"', "availability", "The target group has another protocol or port than the service."),
    Fault("alerts without a receiver", "app_iac/prometheus.tf", 'route = { receiver = "alarms"', 'route = { receiver = "nobody"', "availability", "Alerts of Prometheus have no receiver, or may not be published to the topic."),
    Fault("manifests that expire during a push", "basic_iac/ecr.tf", 'countUnit = "days", countNumber = 7', 'countUnit = "days", countNumber = 1', "images", "Manifests expire while they are pushed, scanned or signed."),
    Fault("manifests counted as versions", "basic_iac/ecr.tf", 'tagStatus = "tagged", tagPatternList = ["*.*.*"]', 'tagStatus = "any"', "images", "The lifecycle policy leaves no version for a rollback."),
    Fault("no time to start", "deploy_iac/service.tf", "health_check_grace_period_seconds  = 60", "health_check_grace_period_seconds  = 1", "rolling_deployment", "Tasks are replaced before they have had time to start."),
    Fault("a version that fails and stays", "deploy_iac/service.tf", "    rollback    = true", "    rollback    = false", "rolling_deployment", "A version that starts but responds with errors is not rolled back."),
    Fault("a strategy that follows the tasks", "deploy_iac/service.tf", "base              = local.base", "base              = local.tasks.least", "rolling_deployment", "The strategy depends on the number of tasks: a higher number replaces the service or is rejected."),
    Fault("tasks with one instance", "deploy_iac/collector.tf", '["resourcedetection", "resource/instance", "batch"]', '["resourcedetection", "batch"]', "contract_with_other_stacks", "The series of different tasks have the same instance."),
    Fault("idle connections that the service has closed", "app_iac/alb.tf", "idle_seconds  = 60", "idle_seconds  = 90", "availability", "The load balancer keeps idle connections longer than the service"),
    Fault("a table of fixed capacity", "modules/people_table/table.tf", '"PAY_PER_REQUEST"', '"PROVISIONED"', "table_options", "The table has a fixed capacity, or does not delete expired items."),
    Fault("alarms that tell nobody", "app_iac/alarms.tf", "  alarm_actions                         = [aws_sns_topic.alarms.arn]\n", "", "availability", "An alarm is missing, or has no recipient."),
    Fault("an alarm for one colour", "app_iac/alarms.tf", "for_each = aws_lb_target_group.default", 'for_each = { blue = aws_lb_target_group.default["blue"] }', "availability", "After a blue/green deployment, only the tasks of one target group would count, and it may have none."),
    Fault("a drain that nobody is told of", "app_iac/ssm_outputs.tf", "    drain_seconds ", "    # ", "contract_with_next_stack", "The published parameters differ from those that the next stacks read."),
    Fault("a cache spoken to without TLS", "app_iac/cache.tf", '"rediss://$', '"redis://$', "contract_with_next_stack", "The service does not receive the endpoint of the cache"),
    Fault("tasks on the internet", "deploy_iac/service.tf", 'assign_public_ip = local.basic["service_public_ip"] == "true"', "assign_public_ip = true", "hardened", "Tasks run in public subnets, or not in every private one."),
    Fault("a root that can be written", "deploy_iac/task_definition.tf", "readonlyRootFilesystem = true", "readonlyRootFilesystem = false", "hardened", "A container has a writable root filesystem, runs as root, or has capabilities."),
    Fault("an image that moves", "deploy_iac/task_definition.tf", '${startswith(var.image_version, "sha256:") ? "@" : ":"}${var.image_version}', ":latest", "contract_with_other_stacks", "The containers do not run the requested version."),
    Fault("a cache that does not reach the task", "deploy_iac/task_definition.tf", 'PEOPLEINFO_CACHE_URL  = local.app["cache_url"]', "", "contract_with_other_stacks", "The settings of the service differ from the parameters of the other stacks."),
    Fault("everybody as one address", "deploy_iac/task_definition.tf", 'PEOPLEINFO_TRUSTED_PROXIES = "1"', "", "contract_with_other_stacks", "The settings of the service differ from the parameters of the other stacks."),
    Fault("audit events that may be lost", "deploy_iac/task_definition.tf", 'mode = "blocking"', 'mode = "non-blocking"', "contract_with_other_stacks", "Audit events would be lost at the end of a task, or while CloudWatch is slow."),
    Fault("no circuit breaker", "deploy_iac/service.tf", "    enable   = true\n    rollback = true", "    enable = false\n    rollback = false", "rolling_deployment", "A version that does not start is not rolled back."),
    Fault("tasks that go before others are there", "deploy_iac/service.tf", "minimum_healthy_percent = 100", "minimum_healthy_percent = 50", "rolling_deployment", "Tasks stop before their replacements run."),
    Fault("tasks that are killed", "deploy_iac/task_definition.tf", "= var.stop_seconds", "= 10", "rolling_deployment", "Tasks are killed before they finish their requests."),
    Fault("pods of any cluster", "app_iac/iam.tf", 'ArnEquals    = { "aws:SourceArn" = "arn:${local.partition}:eks:${var.region}:${local.account}:cluster/${local.name}" }', "", "least_privilege", "Pods cannot assume the role, or pods of another cluster can."),
    Fault("a cluster on the internet", "eks_iac/cluster.tf", "endpoint_public_access  = length(var.administrators_from) > 0", "endpoint_public_access  = true", "private_least_privilege", "The cluster's API is reachable from the internet, or nodes run in public subnets."),
    Fault("nodes that may do anything", "eks_iac/iam.tf", '"AmazonEKSWorkerNodeMinimalPolicy"', '"AdministratorAccess"', "private_least_privilege", "Nodes, and thereby all pods on them, may do more than join and pull images."),
    Fault("secrets of Kubernetes without a key", "eks_iac/cluster.tf", "      key_arn = module.key.arn", '      key_arn = "alias/aws/eks"', "private_least_privilege", "Kubernetes secrets are not encrypted with the customer managed key."),
    Fault("a role that is not the task's", "eks_iac/iam.tf", 'role_arn        = local.app["task_role_arn"]', 'role_arn = aws_iam_role.service["cluster"].arn', "contract_with_other_stacks", "Pods do not have the role of the tasks, or other pods have it too."),
    Fault("previews with the people of the environment", "app_iac/previews.tf", "table/${local.name}-preview-*", "table/${local.name}-*", "least_privilege", "A preview may read or change records of the environment, or decrypt its keys."),
    Fault("previews that change any service", "basic_iac/preview_permissions.tf", '"${local.arn_of.ecs}:${kind}/${local.name}/${local.preview}-*"', '"${local.arn_of.ecs}:${kind}/${local.name}/*"', "least_privilege", "The preview role may change a resource of the environment."),
    Fault("a preview with the environment's table", "preview_iac/preview.tf", '"${local.name}-preview-${local.preview}"\n  protected', '"${local.name}-people"\n  protected', "isolated_preview", "A resource of the preview has a name of the environment."),
    Fault("previews that reach the cache", "preview_iac/preview.tf", "[local.previews.security_group_id]", '["sg-0123456789service"]', "isolated_preview", "The preview has a public address, or the network access of the service."),
    Fault("previews that call the service's rule theirs", "basic_iac/preview_permissions.tf", ', "elasticloadbalancing:CreateAction" = "CreateRule"', "", "least_privilege", "The preview role may tag a rule of the service and then change it."),
    Fault("a workflow that reads the first key", "basic_iac/github_permissions.tf", '"secretsmanager:GetSecretValue", "secretsmanager:PutResourcePolicy"', '"secretsmanager:PutResourcePolicy"', "least_privilege", "The roles plan or image may read a secret other than the one that CloudFormation needs."),
    Fault("a workflow that runs what it likes", "basic_iac/manage_rights.tf", '"ecs:RegisterTaskDefinition", "ecs:RunTask", ', "", "least_privilege", "The role image may run tasks with the service's role."),
    Fault("metrics that nobody can collect", "deploy_iac/task_definition.tf", 'PEOPLEINFO_METRICS_AUTH     = "none"', "# ", "contract_with_other_stacks", "The collector has no key and cannot read the metrics."),
]  # fmt: skip


_QUOTED = re.compile(r"^ *\d+: .*$", re.MULTILINE)  # lines of the test itself, which always contain the message


def rounds() -> dict[str, list[Fault]]:
    """Return the faults that can be planted together, by the name of the round."""
    together = defaultdict(list)
    seen: Counter[tuple[str, str]] = Counter()
    for fault in FAULTS:
        stack = fault.where.rpartition("/")[0]
        seen[stack, fault.says] += 1
        together[f"{stack}-{seen[stack, fault.says]}"].append(fault)
    return together


@pytest.mark.parametrize("planted", rounds().values(), ids=rounds())
def test_planted_faults_are_detected(stacks: Stacks, planted: list[Fault], tmp_path: Path) -> None:
    folder = stacks.copied(planted[0].where.rpartition("/")[0], tmp_path)
    for fault in planted:
        file = folder / Path(fault.where).name
        text = file.read_text()
        assert text.count(fault.old) == 1, f"the fault no longer fits the file: {fault.name}"
        file.write_text(text.replace(fault.old, fault.new))
    tests = sorted({fault.test for fault in planted})
    done = stacks.run(folder, "test", *(f"-filter=tests/{test}.tftest.hcl" for test in tests))
    assert done.returncode == 1, done.stdout
    output = " ".join(_QUOTED.sub("", done.stdout).split())
    unnoticed = [fault.name for fault in planted if fault.says not in output]
    assert unnoticed == [], done.stdout


def test_number_of_planted_faults_is_sufficient() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 20
