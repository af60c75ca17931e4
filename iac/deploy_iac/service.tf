# The service: autoscaled tasks in all zones, rolling deployments without downtime, and a rollback when the new version does not start.

resource "aws_ecs_service" "default" {
  name                               = "${local.name}-api"
  cluster                            = local.basic["ecs_cluster_name"]
  task_definition                    = aws_ecs_task_definition.default.arn
  desired_count                      = local.tasks.least
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = 60
  availability_zone_rebalancing      = "ENABLED"
  enable_ecs_managed_tags            = true
  propagate_tags                     = "SERVICE"
  wait_for_steady_state              = true
  force_new_deployment               = true # otherwise the provider rejects a changed strategy (spot), or replaces the service

  # These alarms of app_iac also roll back a version that starts but fails during the deployment.
  alarms {
    enable      = true
    rollback    = true
    alarm_names = split(",", local.app["deployment_alarms"])
  }

  capacity_provider_strategy {
    capacity_provider = "FARGATE"
    base              = local.base
    weight            = var.spot ? 0 : 1
  }
  dynamic "capacity_provider_strategy" {
    for_each = var.spot ? [1] : []
    content {
      capacity_provider = "FARGATE_SPOT"
      weight            = 1
    }
  }

  network_configuration {
    subnets          = split(",", local.basic["service_subnet_ids"])
    security_groups  = [local.app["service_security_group_id"]]
    assign_public_ip = local.basic["service_public_ip"] == "true" # without a NAT gateway; the security group admits only the load balancer
  }

  load_balancer {
    container_name   = local.api.name
    container_port   = local.port
    target_group_arn = local.app["target_group_blue_arn"]
    dynamic "advanced_configuration" {
      for_each = local.is_blue_green ? [1] : []
      content {
        alternate_target_group_arn = local.app["target_group_green_arn"]
        production_listener_rule   = local.app["listener_rule_arn"]
        role_arn                   = local.app["blue_green_role_arn"]
      }
    }
  }

  deployment_configuration {
    strategy             = local.is_blue_green ? "BLUE_GREEN" : "ROLLING"
    bake_time_in_minutes = local.is_blue_green ? var.deployment.bake_minutes : null
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  timeouts {
    create = "30m"
    update = "30m"
  }

  lifecycle {
    precondition {
      condition     = local.tasks.least >= (local.basic["profile"] == "small" ? 1 : 2) && local.tasks.most >= local.tasks.least
      error_message = "The minimum number of tasks must be two (one in the profile small), and the maximum must not be lower: change `tasks`."
    }
    ignore_changes = [desired_count] # set by autoscaling
    precondition {
      condition     = tonumber(local.app["drain_seconds"]) <= 120
      error_message = "A deployment would wait minutes for each task: the load balancer's drain time in app_iac exceeds two minutes."
    }
  }
}

locals {
  base          = 2 # on-demand tasks, which are never interrupted; a fixed number, because a changed strategy replaces all tasks
  is_blue_green = var.deployment.strategy == "blue_green"
}
