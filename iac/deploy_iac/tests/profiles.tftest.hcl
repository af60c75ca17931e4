# Each profile has the tasks of the cost table.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  environment   = "qa"
  region        = "eu-west-1"
  image_version = "1.4.2"
}

run "small" {
  override_data {
    target = data.aws_ssm_parameter.basic["profile"]
    values = { insecure_value = "small" }
  }
  override_data {
    target = data.aws_ssm_parameter.basic["service_public_ip"]
    values = { insecure_value = "true" }
  }
  override_data {
    target = data.aws_ssm_parameter.app["cache_url"]
    values = { insecure_value = "none" }
  }
  override_data {
    target = data.aws_ssm_parameter.app["cache_password_secret_arn"]
    values = { insecure_value = "none" }
  }
  override_data {
    target = data.aws_ssm_parameter.app["web_acl_arn"]
    values = { insecure_value = "none" }
  }
  assert {
    condition     = aws_ecs_service.default.desired_count == 1 && aws_appautoscaling_target.default.min_capacity == 1 && aws_ecs_task_definition.default.cpu == "256" && aws_ecs_task_definition.default.memory == "512" && aws_appautoscaling_target.default.max_capacity == 2
    error_message = "The small profile runs more than one small task."
  }
  assert {
    condition     = one(aws_ecs_service.default.network_configuration).assign_public_ip
    error_message = "Without a NAT gateway, a task without a public address cannot pull its image."
  }
  assert {
    condition     = length([for setting in concat(jsondecode(aws_ecs_task_definition.default.container_definitions)[0].environment, jsondecode(aws_ecs_task_definition.default.container_definitions)[0].secrets) : setting if strcontains(setting.name, "CACHE")]) == 0
    error_message = "The service is configured for a cache that does not exist."
  }
}

run "small_shows_metrics_to_nobody" {
  command = plan
  override_data {
    target = data.aws_ssm_parameter.app["web_acl_arn"]
    values = { insecure_value = "none" }
  }
  variables {
    collector = { image = "collector:v0.45.0" }
  }
  expect_failures = [aws_ecs_task_definition.default]
}

run "standard" {
  assert {
    condition     = aws_appautoscaling_target.default.min_capacity == 2 && aws_ecs_task_definition.default.cpu == "512"
    error_message = "The tasks of the standard profile differ from the cost table."
  }
}

run "prod" {
  override_data {
    target = data.aws_ssm_parameter.basic["profile"]
    values = { insecure_value = "prod" }
  }
  assert {
    condition     = aws_appautoscaling_target.default.min_capacity == 3 && aws_ecs_task_definition.default.cpu == "1024" && aws_ecs_task_definition.default.memory == "2048"
    error_message = "The tasks of the prod profile differ from the cost table."
  }
}
