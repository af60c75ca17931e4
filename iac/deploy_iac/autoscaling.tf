# Scale out at once when requests or CPU exceed the target; scale in after some minutes below it.

resource "aws_appautoscaling_target" "default" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${local.basic["ecs_cluster_name"]}/${aws_ecs_service.default.name}"
  min_capacity       = local.tasks.least
  max_capacity       = local.tasks.most
}

resource "aws_appautoscaling_policy" "cpu" {
  name               = "${local.name}-cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.default.service_namespace
  scalable_dimension = aws_appautoscaling_target.default.scalable_dimension
  resource_id        = aws_appautoscaling_target.default.resource_id
  target_tracking_scaling_policy_configuration {
    target_value       = 60 # percent: after the loss of a zone, two thirds of the tasks take the whole load
    scale_out_cooldown = 30
    scale_in_cooldown  = 300
    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}

# This metric belongs to a target group, and a blue/green deployment switches between two of them, so only CPU scales there.
resource "aws_appautoscaling_policy" "requests" {
  count              = local.is_blue_green ? 0 : 1
  name               = "${local.name}-requests"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.default.service_namespace
  scalable_dimension = aws_appautoscaling_target.default.scalable_dimension
  resource_id        = aws_appautoscaling_target.default.resource_id
  target_tracking_scaling_policy_configuration {
    target_value       = local.tasks.requests_a_minute
    scale_out_cooldown = 30
    scale_in_cooldown  = 300
    predefined_metric_specification {
      predefined_metric_type = "ALBRequestCountPerTarget"
      resource_label         = local.app["alb_request_count_label"]
    }
  }
}
