# The service stays available during deployments and failures, and alarms reach a recipient.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
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
}

run "by_default" {
  command = plan
  # The load balancer checks the health of tasks and lets them finish.
  assert {
    condition     = alltrue([for group in aws_lb_target_group.default : one(group.health_check).path == "/status/live" && one(group.health_check).matcher == "200"])
    error_message = "The health check depends on the store, or uses another path: all tasks would be replaced while DynamoDB fails."
  }
  assert {
    condition     = alltrue([for group in aws_lb_target_group.default : tonumber(group.deregistration_delay) == 60 && group.target_type == "ip"])
    error_message = "Running requests are aborted, or tasks are not registered by IP address."
  }
  assert {
    condition     = aws_lb.default.idle_timeout < 75
    error_message = "The load balancer keeps idle connections longer than the service (75 s, src/peopleinfo/cli/serve.py): it would use closed ones."
  }

  # The load balancer uses HTTP to the tasks, and forwards to blue at first.
  assert {
    condition     = alltrue([for group in aws_lb_target_group.default : group.protocol == "HTTP" && group.protocol_version == "HTTP1" && group.port == 3000])
    error_message = "The target group has another protocol or port than the service."
  }
  assert {
    condition     = { for group in one(one(aws_lb_listener_rule.service.action).forward).target_group : group.arn => group.weight } == { (aws_lb_target_group.default["blue"].arn) = 100, (aws_lb_target_group.default["green"].arn) = 0 }
    error_message = "Requests go to a target group without tasks."
  }

  # The table grows with its load.
  assert {
    condition     = module.people.table.billing_mode == "PAY_PER_REQUEST" && one(module.people.table.ttl).attribute_name == "expires_at" && one(module.people.table.ttl).enabled
    error_message = "The table has a fixed capacity, or never deletes idempotency keys."
  }
}

run "somebody_is_told" {
  command = plan
  variables {
    alarm_emails = ["oncall@example.org"]
    budget       = { dollars_a_month = 100, emails = ["platform@example.org"] }
  }
  assert {
    condition = toset(concat(keys(aws_cloudwatch_metric_alarm.default), keys(aws_cloudwatch_metric_alarm.summed))) == toset(["cache_busy", "cache_full", "errors", "slow", "table_errors", "throttled", "unreachable"]) && alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.default), values(aws_cloudwatch_metric_alarm.summed), [aws_cloudwatch_metric_alarm.few_tasks]) : try(contains(alarm.alarm_actions, aws_sns_topic.alarms.arn), false)
    ])
    error_message = "An alarm is missing, or has no recipient."
  }
  assert {
    condition = toset(flatten([
      for query in aws_cloudwatch_metric_alarm.few_tasks.metric_query : [for metric in query.metric : metric.dimensions.TargetGroup]
      ])) == toset(["targetgroup/people-info-qa-blue/0123456789abcdef", "targetgroup/people-info-qa-green/0123456789abcdef"]) && alltrue([
      for query in aws_cloudwatch_metric_alarm.few_tasks.metric_query : strcontains(query.expression, "FILL(blue, 0) + FILL(green, 0)") if query.id == "healthy"
    ])
    error_message = "After a blue/green deployment, only the tasks of one target group would count, and it may have none."
  }
  assert {
    condition     = length(aws_sns_topic_subscription.alarms) == 1 && aws_sns_topic.alarms.kms_master_key_id == module.people_key.arn
    error_message = "The alarms have no subscriber, or are not encrypted."
  }
  assert {
    condition     = one(aws_budgets_budget.default[*].limit_amount) == "100" && length(one(aws_budgets_budget.default[*].notification)) == 2
    error_message = "The budget has another amount, or no recipient."
  }
  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.default.dashboard_body).widgets) == 6
    error_message = "The dashboard lacks a widget."
  }
}

run "prometheus_takes_the_projects_rules" {
  command = plan
  variables {
    prometheus   = true
    alarm_emails = ["oncall@example.org"]
  }
  assert {
    condition     = keys(aws_prometheus_rule_group_namespace.default) == ["alerts", "recording"] && alltrue([for rules in aws_prometheus_rule_group_namespace.default : strcontains(rules.data, "groups:")])
    error_message = "The rules are not loaded into Prometheus."
  }
  assert {
    condition = strcontains(yamldecode(yamldecode(aws_prometheus_alert_manager_definition.default[0].definition).alertmanager_config).receivers[0].sns_configs[0].topic_arn, ":people-info-qa-alarms") && yamldecode(yamldecode(aws_prometheus_alert_manager_definition.default[0].definition).alertmanager_config).route.receiver == yamldecode(yamldecode(aws_prometheus_alert_manager_definition.default[0].definition).alertmanager_config).receivers[0].name && [
      for statement in jsondecode(aws_sns_topic_policy.alarms.policy).Statement : statement.Principal.Service
    ] == ["aps.amazonaws.com", "cloudwatch.amazonaws.com"]
    error_message = "Alerts of Prometheus have no receiver, or may not be published to the topic."
  }
  assert {
    condition     = aws_ssm_parameter.published["prometheus_url"].insecure_value == "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-0123/api/v1/remote_write"
    error_message = "The collector has another endpoint."
  }
}

run "alerts_that_reach_nobody_are_refused" {
  command = plan
  variables {
    prometheus = true
  }
  expect_failures = [var.prometheus]
}
