# What wakes somebody. The service's own metrics have rules of their own (prometheus.tf, observability/); these need nothing but AWS.

resource "aws_sns_topic" "alarms" {
  name              = "${local.name}-alarms"
  kms_master_key_id = module.people_key.arn
}

resource "aws_sns_topic_subscription" "alarms" {
  for_each  = var.alarm_emails
  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.key
}

resource "aws_cloudwatch_metric_alarm" "default" {
  for_each            = local.alarms
  alarm_name          = "${local.name}-${each.key}"
  alarm_description   = each.value.says
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = try(each.value.statistic, "Sum")
  extended_statistic  = try(each.value.percentile, null)
  comparison_operator = try(each.value.below, false) ? "LessThanThreshold" : "GreaterThanOrEqualToThreshold"
  threshold           = each.value.threshold
  period              = 60
  evaluation_periods  = 5
  datapoints_to_alarm = 3
  treat_missing_data  = try(each.value.missing, "notBreaching")
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

locals {
  on_balancer = { LoadBalancer = aws_lb.default.arn_suffix }
  on_targets  = { LoadBalancer = aws_lb.default.arn_suffix, TargetGroup = aws_lb_target_group.default["blue"].arn_suffix }
  on_table    = { TableName = aws_dynamodb_table.people.name }
  on_cache    = { CacheClusterId = "${local.name}-001" }

  alarms = {
    errors = {
      says      = "The service answers with errors: see /${local.name}/application, and docs/runbooks."
      namespace = "AWS/ApplicationELB", metric = "HTTPCode_Target_5XX_Count", dimensions = local.on_balancer, threshold = 10
    }
    unreachable = {
      says      = "The load balancer gets no answer from the service."
      namespace = "AWS/ApplicationELB", metric = "HTTPCode_ELB_5XX_Count", dimensions = local.on_balancer, threshold = 10
    }
    slow = {
      says       = "One request in a hundred takes longer than half a second."
      namespace  = "AWS/ApplicationELB", metric = "TargetResponseTime", dimensions = local.on_balancer, threshold = 0.5
      percentile = "p99", statistic = null
    }
    few_tasks = {
      says      = "Fewer than two tasks are healthy: losing one more would be an outage."
      namespace = "AWS/ApplicationELB", metric = "HealthyHostCount", dimensions = local.on_targets, threshold = var.tasks_wanted
      statistic = "Minimum", below = true, missing = "breaching"
    }
    throttled = {
      says      = "The table refuses reads or writes for want of capacity: a surname may be too common for its shards (docs/dynamodb.md)."
      namespace = "AWS/DynamoDB", metric = "ThrottledRequests", dimensions = local.on_table, threshold = 1
    }
    table_errors = {
      says      = "DynamoDB fails."
      namespace = "AWS/DynamoDB", metric = "SystemErrors", dimensions = local.on_table, threshold = 5
    }
    cache_busy = {
      says      = "The cache has little CPU left: answers come from the table when it is too slow."
      namespace = "AWS/ElastiCache", metric = "EngineCPUUtilization", dimensions = local.on_cache, threshold = 80
      statistic = "Average"
    }
    cache_full = {
      says      = "The cache drops answers for want of memory."
      namespace = "AWS/ElastiCache", metric = "Evictions", dimensions = local.on_cache, threshold = 1000
    }
  }
}
