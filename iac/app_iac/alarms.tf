# CloudWatch alarms for on-call. They need AWS metrics only; rules for the service's metrics are in prometheus.tf and observability/.

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
  for_each           = local.alarms
  alarm_name         = "${local.name}-${each.key}"
  alarm_description  = each.value.says
  namespace          = each.value.namespace
  metric_name        = each.value.metric
  dimensions         = each.value.dimensions
  statistic          = try(each.value.statistic, "Sum")
  extended_statistic = try(each.value.percentile, null)
  # A percentile of a few requests is not significant.
  evaluate_low_sample_count_percentiles = try(each.value.percentile, null) == null ? null : "ignore"
  comparison_operator                   = "GreaterThanOrEqualToThreshold"
  threshold                             = each.value.threshold
  period                                = 60
  evaluation_periods                    = 5
  datapoints_to_alarm                   = 3
  treat_missing_data                    = "notBreaching"
  alarm_actions                         = [aws_sns_topic.alarms.arn]
  ok_actions                            = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "summed" {
  for_each            = { for name, alarm in local.summed_alarms : name => alarm if length(alarm.metrics) > 0 }
  alarm_name          = "${local.name}-${each.key}"
  alarm_description   = each.value.says
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.threshold
  evaluation_periods  = 5
  datapoints_to_alarm = 3
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "all"
    expression  = "${each.value.function}(METRICS())"
    label       = each.key
    return_data = true
  }
  dynamic "metric_query" {
    for_each = each.value.metrics
    content {
      id = "m${metric_query.key}"
      metric {
        namespace   = each.value.namespace
        metric_name = metric_query.value.name
        dimensions  = metric_query.value.dimensions
        period      = 60
        stat        = each.value.statistic
      }
    }
  }
}

# The sum of both target groups: after a blue/green deployment one of them has no tasks.
resource "aws_cloudwatch_metric_alarm" "few_tasks" {
  alarm_name          = "${local.name}-few_tasks"
  alarm_description   = "Fewer than ${local.tasks_wanted} tasks are healthy: the loss of one more would be an outage."
  comparison_operator = "LessThanThreshold"
  threshold           = local.tasks_wanted
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

  alarms = {
    errors = {
      says      = "The service answers with errors: see /${local.name}/application, and docs/runbooks."
      namespace = "AWS/ApplicationELB", metric = "HTTPCode_Target_5XX_Count", dimensions = local.on_balancer, threshold = 10
    }
    unreachable = {
      says      = "The load balancer gets no answer from the service."
      namespace = "AWS/ApplicationELB", metric = "HTTPCode_ELB_5XX_Count", dimensions = local.on_balancer, threshold = 10
    }
    # Imports and exports take minutes and count too: with the 99th percentile, one of them in a quiet minute would trigger the alarm.
    slow = {
      says       = "One request in ten takes longer than half a second."
      namespace  = "AWS/ApplicationELB", metric = "TargetResponseTime", dimensions = local.on_balancer, threshold = 0.5
      percentile = "p90", statistic = null
    }
  }

  # DynamoDB reports throttled requests per table and index, and errors per operation; there is no metric for the whole table.
  on_index   = merge(local.on_table, { GlobalSecondaryIndexName = "prefixes" })
  operations = ["BatchGetItem", "BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "TransactWriteItems", "UpdateItem"]
  nodes      = [for number in range(1, local.cache.nodes + 1) : { CacheClusterId = format("${local.name}-%03d", number) }]

  summed_alarms = {
    throttled = {
      says      = "The table or its index refuses reads or writes for want of capacity: a surname may be too common for its shards (docs/dynamodb.md)."
      namespace = "AWS/DynamoDB", statistic = "Sum", function = "SUM", threshold = 1
      metrics = [for pair in setproduct(["ReadThrottleEvents", "WriteThrottleEvents"], [local.on_table, local.on_index]) :
      { name = pair[0], dimensions = { for key, value in pair[1] : key => value if value != null } }]
    }
    table_errors = {
      says      = "DynamoDB fails."
      namespace = "AWS/DynamoDB", statistic = "Sum", function = "SUM", threshold = 5
      metrics   = [for operation in local.operations : { name = "SystemErrors", dimensions = merge(local.on_table, { Operation = operation }) }]
    }
    cache_busy = {
      says      = "A node of the cache has little CPU left: reads go to the table when it is too slow."
      namespace = "AWS/ElastiCache", statistic = "Average", function = "MAX", threshold = 80
      metrics   = [for node in local.nodes : { name = "EngineCPUUtilization", dimensions = node }]
    }
    cache_full = {
      says      = "The cache evicts entries for want of memory."
      namespace = "AWS/ElastiCache", statistic = "Sum", function = "SUM", threshold = 1000
      metrics   = [for node in local.nodes : { name = "Evictions", dimensions = node }]
    }
  }
}
