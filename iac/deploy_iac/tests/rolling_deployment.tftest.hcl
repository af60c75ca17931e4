# A new version replaces the old one without downtime, and ECS rolls it back when it does not start.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  environment   = "qa"
  region        = "eu-west-1"
  image_version = "1.4.2"
}

run "by_default" {
  command = plan
  # Replaced without downtime and rolled back.
  assert {
    condition     = one(aws_ecs_service.default.deployment_circuit_breaker).enable && one(aws_ecs_service.default.deployment_circuit_breaker).rollback
    error_message = "A version that does not start is not rolled back."
  }
  assert {
    condition     = aws_ecs_service.default.deployment_minimum_healthy_percent == 100 && aws_ecs_service.default.deployment_maximum_percent == 200 && one(aws_ecs_service.default.deployment_configuration).strategy == "ROLLING"
    error_message = "Tasks stop before their replacements run."
  }
  assert {
    condition     = one(aws_ecs_service.default.load_balancer).target_group_arn == "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/people-info-qa-blue/0123456789abcdef" && one(aws_ecs_service.default.load_balancer).container_port == 3000
    error_message = "The load balancer is not connected to the service."
  }

  # Alarms stop the deployment of a failing version, and tasks get enough time to start.
  assert {
    condition     = one(aws_ecs_service.default.alarms).enable && one(aws_ecs_service.default.alarms).rollback && one(aws_ecs_service.default.alarms).alarm_names == toset(["people-info-qa-errors", "people-info-qa-unreachable"])
    error_message = "A version that starts but responds with errors is not rolled back."
  }
  assert {
    condition     = aws_ecs_service.default.health_check_grace_period_seconds >= 60
    error_message = "Tasks are replaced before they have had time to start."
  }

  # Tasks finish their requests.
  assert {
    condition     = alltrue([for container in jsondecode(aws_ecs_task_definition.default.container_definitions) : container.stopTimeout > 15 + 30])
    error_message = "Tasks are killed before they finish their requests."
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.default.container_definitions)[0].healthCheck.command == ["CMD", "python", "-m", "peopleinfo.http.healthcheck"]
    error_message = "ECS does not check the health of the container."
  }

  # Enough tasks in all zones.
  assert {
    condition     = aws_appautoscaling_target.default.min_capacity >= 2 && aws_ecs_service.default.availability_zone_rebalancing == "ENABLED"
    error_message = "The loss of one task or zone would be an outage."
  }
  assert {
    condition     = one(aws_appautoscaling_policy.cpu.target_tracking_scaling_policy_configuration).target_value <= 66 && length(aws_appautoscaling_policy.requests) == 1
    error_message = "Two zones cannot take the load of three, or requests do not scale out."
  }
}

run "the_least_number_can_be_raised" {
  command = plan
  variables {
    tasks = { least = 3 }
  }
  assert {
    condition     = [for strategy in aws_ecs_service.default.capacity_provider_strategy : strategy.base if strategy.capacity_provider == "FARGATE"] == [2] && aws_ecs_service.default.force_new_deployment
    error_message = "The strategy depends on the number of tasks: a higher number replaces the service or is rejected."
  }
}

run "a_single_task_is_refused" {
  command = plan
  variables {
    tasks = { least = 1 }
  }
  expect_failures = [aws_ecs_service.default]
}

run "blue_green_keeps_the_old_version_for_a_while" {
  command = plan
  variables {
    deployment = { strategy = "blue_green", bake_minutes = 10 }
  }
  assert {
    condition     = one(aws_ecs_service.default.deployment_configuration).strategy == "BLUE_GREEN" && tonumber(one(aws_ecs_service.default.deployment_configuration).bake_time_in_minutes) == 10
    error_message = "The old version is stopped at once."
  }
  assert {
    condition     = strcontains(one(one(aws_ecs_service.default.load_balancer).advanced_configuration).alternate_target_group_arn, "people-info-qa-green") && strcontains(one(one(aws_ecs_service.default.load_balancer).advanced_configuration).production_listener_rule, "listener-rule")
    error_message = "Traffic cannot be shifted to the new version."
  }
  assert {
    condition     = length(aws_appautoscaling_policy.requests) == 0
    error_message = "Autoscaling would count the requests of the inactive target group."
  }
}

run "spare_capacity_beyond_what_has_to_be_there" {
  command = plan
  variables {
    spot = true
  }
  assert {
    condition     = [for strategy in aws_ecs_service.default.capacity_provider_strategy : strategy.base if strategy.capacity_provider == "FARGATE"] == [2]
    error_message = "All tasks can be interrupted with two minutes' notice."
  }
}
