# Each profile has the cache, the firewall and the alarms of the cost table.

mock_provider "aws" {
  source = "./tests/mocks"
}

override_module {
  target  = module.firewall
  outputs = { arn = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/people-info-qa/55555555-5555-5555-5555-555555555555" }
}

variables {
  environment = "qa"
  region      = "eu-west-1"
  endpoint    = { domain_name = "people.example.org", zone_id = "Z0123456789EXAMPLE" }
}

run "small" {
  override_data {
    target = data.aws_ssm_parameter.basic["profile"]
    values = { insecure_value = "small" }
  }
  assert {
    condition     = length(aws_elasticache_replication_group.default) == 0 && length(aws_cloudformation_stack.cache_user) == 0 && length(aws_wafv2_web_acl_association.default) == 0
    error_message = "The small profile pays for a cache or a firewall."
  }
  assert {
    condition     = [for key in ["cache_password_secret_arn", "cache_url", "cache_user", "web_acl_arn"] : aws_ssm_parameter.published[key].insecure_value] == ["none", "none", "none", "none"]
    error_message = "Later stacks read parameters of a cache or a firewall that does not exist."
  }
  assert {
    condition     = length(aws_lb.default.subnets) == 2 && aws_cloudwatch_metric_alarm.few_tasks.threshold == 1 && toset(keys(aws_cloudwatch_metric_alarm.summed)) == toset(["table_errors", "throttled"])
    error_message = "The small profile has addresses in a third zone, or alarms for missing resources."
  }
  assert {
    condition     = aws_dynamodb_table.keys.deletion_protection_enabled && module.people.table.point_in_time_recovery[0].enabled
    error_message = "The small profile saves on the protection of records."
  }
}

run "small_with_one_cache_node" {
  override_data {
    target = data.aws_ssm_parameter.basic["profile"]
    values = { insecure_value = "small" }
  }
  variables {
    cache = { nodes = 1 }
  }
  assert {
    condition     = aws_elasticache_replication_group.default[0].num_cache_clusters == 1 && !aws_elasticache_replication_group.default[0].automatic_failover_enabled && aws_elasticache_replication_group.default[0].node_type == "cache.t4g.micro"
    error_message = "ElastiCache rejects failover with one node, or the node is not the smallest."
  }
}

run "standard" {
  assert {
    condition     = aws_elasticache_replication_group.default[0].num_cache_clusters == 2 && length(aws_wafv2_web_acl_association.default) == 1 && length(aws_lb.default.subnets) == 3
    error_message = "The standard profile lacks the second cache node, the firewall or a zone."
  }
}

run "prod" {
  override_data {
    target = data.aws_ssm_parameter.basic["profile"]
    values = { insecure_value = "prod" }
  }
  assert {
    condition     = aws_elasticache_replication_group.default[0].num_cache_clusters == 3 && aws_elasticache_replication_group.default[0].node_type == "cache.m7g.large"
    error_message = "The cache of prod differs from the cost table."
  }
}
