# What wakes somebody. The service's own metrics have rules of their own (prometheus.tf, observability/); these need nothing but AWS.

resource "aws_sns_topic" "alarms" {
  name              = "${local.name}-alarms"
  kms_master_key_id = module.people_key.arn
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for service in ["aps", "cloudwatch"] : {
      Sid       = title(service)
      Effect    = "Allow"
      Principal = { Service = "${service}.amazonaws.com" }
      Action    = ["sns:GetTopicAttributes", "sns:Publish"]
      Resource  = aws_sns_topic.alarms.arn
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
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
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.threshold
  period              = 60
  evaluation_periods  = 5
  datapoints_to_alarm = 3
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

# Tasks of both colours together: after a blue/green deployment one of the two has none.
resource "aws_cloudwatch_metric_alarm" "few_tasks" {
  alarm_name          = "${local.name}-few_tasks"
  alarm_description   = "Fewer than ${var.tasks_wanted} tasks are healthy: losing one more would be an outage."
  comparison_operator = "LessThanThreshold"
  threshold           = var.tasks_wanted
  evaluation_periods  = 5
  datapoints_to_alarm = 3
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "healthy"
    expression  = "FILL(blue, 0) + FILL(green, 0)"
    label       = "healthy tasks"
    return_data = true
  }
  dynamic "metric_query" {
    for_each = aws_lb_target_group.default
    content {
      id = metric_query.key
      metric {
        namespace   = "AWS/ApplicationELB"
        metric_name = "HealthyHostCount"
        dimensions  = merge(local.on_balancer, { TargetGroup = metric_query.value.arn_suffix })
        period      = 60
        stat        = "Minimum"
      }
    }
  }
}

locals {
  on_balancer = { LoadBalancer = aws_lb.default.arn_suffix }
  on_table    = { TableName = module.people.table.name }
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
