# Names and endpoints that other stacks use; no endpoint is hard-coded.

mock_provider "aws" {
  source = "./tests/mocks"
}

# It has separate tests, and its plan takes longer than all others.
override_module {
  target  = module.firewall
  outputs = { arn = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/people-info-qa/55555555-5555-5555-5555-555555555555" }
}

variables {
  environment = "qa"
  region      = "eu-west-1"
  endpoint    = { domain_name = "people.example.org", zone_id = "Z0123456789EXAMPLE" }
  # tests/iac/test_backup.py simulates this role.
  backup = { account = "210987654321", operators = ["arn:aws:iam::123456789012:role/platform"] }
}

run "by_default" {
  # All parameters are published under their names.
  assert {
    condition = toset([for parameter in aws_ssm_parameter.published : trimprefix(parameter.name, "/people-info-qa/app/")]) == toset([
      "admin_key_secret_arn", "alb_request_count_label", "alb_logs_bucket", "application_log_group", "audit_log_group", "blue_green_role_arn",
      "cache_password_secret_arn", "cache_security_group_id", "cache_url", "cache_user", "certificate_arn", "deployment_alarms", "drain_seconds", "encryption_url", "execution_role_arn", "listener_rule_arn", "previews",
      "oidc_client_secret_arn", "prometheus_url", "service_security_group_id", "store_url", "target_group_blue_arn", "target_group_green_arn", "task_role_arn", "url", "web_acl_arn",
    ])
    error_message = "The published parameters differ from those that the next stacks read."
  }
  assert {
    condition     = aws_ssm_parameter.published["cache_url"].insecure_value == "rediss://master.people-info-qa.abc123.euw1.cache.amazonaws.com:6379"
    error_message = "The service does not receive the endpoint of the cache: ${aws_ssm_parameter.published["cache_url"].insecure_value}."
  }
  assert {
    condition     = aws_ssm_parameter.published["store_url"].insecure_value == "dynamodb://eu-west-1/people-info-qa-people" && aws_ssm_parameter.published["url"].insecure_value == "https://people.example.org"
    error_message = "The URL of the table or of the service is wrong."
  }

  # Names are stable.
  assert {
    condition = [
      module.people.table.name, aws_elasticache_replication_group.default[0].replication_group_id, aws_lb.default.name,
      aws_cloudwatch_log_group.application.name, aws_cloudwatch_log_group.audit.name, aws_iam_role.task.name, aws_iam_role.execution.name,
      ] == [
      "people-info-qa-people", "people-info-qa", "people-info-qa",
      "/people-info-qa/application", "/people-info-qa/audit", "people-info-qa-task", "people-info-qa-execution",
    ]
    error_message = "A resource has another name, so it would be replaced."
  }
}

# tests/iac/test_stacks.py checks this plan.
run "applied_again_it_changes_nothing" {
  command = plan
}
