resource "aws_cloudwatch_dashboard" "default" {
  dashboard_name = local.name
  dashboard_body = jsonencode({
    widgets = [for number, widget in local.widgets : {
      type   = "metric"
      x      = (number % 3) * 8
      y      = floor(number / 3) * 6
      width  = 8
      height = 6
      properties = {
        title   = widget.title
        region  = var.region
        view    = "timeSeries"
        period  = 60
        metrics = widget.metrics
      }
    }]
  })
}

locals {
  balancer = ["LoadBalancer", aws_lb.default.arn_suffix]
  table    = ["TableName", module.people.table.name]
  on_cache = ["CacheClusterId", "${local.name}-001"]
  service  = ["ClusterName", local.basic["ecs_cluster_name"], "ServiceName", "${local.name}-api"]

  widgets = concat([
    { title = "Requests a minute", metrics = [concat(["AWS/ApplicationELB", "RequestCount"], local.balancer, [{ stat = "Sum" }])] },
    {
      title = "Answers that are errors"
      metrics = [
        concat(["AWS/ApplicationELB", "HTTPCode_Target_5XX_Count"], local.balancer, [{ stat = "Sum" }]),
        concat(["AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count"], local.balancer, [{ stat = "Sum" }]),
        concat(["AWS/ApplicationELB", "HTTPCode_Target_4XX_Count"], local.balancer, [{ stat = "Sum" }]),
      ]
    },
    {
      title = "Seconds to an answer"
      metrics = [
        concat(["AWS/ApplicationELB", "TargetResponseTime"], local.balancer, [{ stat = "p50" }]),
        concat(["AWS/ApplicationELB", "TargetResponseTime"], local.balancer, [{ stat = "p99" }]),
      ]
    },
    {
      title = "Tasks: CPU and memory in percent"
      metrics = [
        concat(["AWS/ECS", "CPUUtilization"], local.service, [{ stat = "Average" }]),
        concat(["AWS/ECS", "MemoryUtilization"], local.service, [{ stat = "Maximum" }]),
      ]
    },
    {
      title = "Table: capacity consumed"
      metrics = [
        concat(["AWS/DynamoDB", "ConsumedReadCapacityUnits"], local.table, [{ stat = "Sum" }]),
        concat(["AWS/DynamoDB", "ConsumedWriteCapacityUnits"], local.table, [{ stat = "Sum" }]),
        concat(["AWS/DynamoDB", "ReadThrottleEvents"], local.table, [{ stat = "Sum" }]),
        concat(["AWS/DynamoDB", "WriteThrottleEvents"], local.table, [{ stat = "Sum" }]),
      ]
    },
    ], local.has_cache ? [{
      title = "Cache: CPU, hits and misses"
      metrics = [
        concat(["AWS/ElastiCache", "EngineCPUUtilization"], local.on_cache, [{ stat = "Average" }]),
        concat(["AWS/ElastiCache", "CacheHits"], local.on_cache, [{ stat = "Sum", yAxis = "right" }]),
        concat(["AWS/ElastiCache", "CacheMisses"], local.on_cache, [{ stat = "Sum", yAxis = "right" }]),
      ]
  }] : [])
}
