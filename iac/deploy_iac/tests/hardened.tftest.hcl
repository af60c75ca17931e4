# Containers run as an unprivileged user, write only to their two volumes, and receive secrets by reference.

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
  # Secrets are passed by reference.
  assert {
    condition = { for secret in jsondecode(aws_ecs_task_definition.default.container_definitions)[0].secrets : secret.name => secret.valueFrom } == {
      PEOPLEINFO_ADMIN_KEY      = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:people-info-qa/admin_key-AbCdEf"
      PEOPLEINFO_CACHE_PASSWORD = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:people-info-qa/cache_password-AbCdEf"
    }
    error_message = "A secret is missing, or is not passed on by reference."
  }
  assert {
    condition     = alltrue([for setting in jsondecode(aws_ecs_task_definition.default.container_definitions)[0].environment : !strcontains(setting.name, "PASSWORD") && !strcontains(setting.name, "ADMIN_KEY")])
    error_message = "A secret is in the environment, where it is visible in the task definition."
  }

  # Tasks have no public address.
  assert {
    condition     = !one(aws_ecs_service.default.network_configuration).assign_public_ip && one(aws_ecs_service.default.network_configuration).subnets == toset(["subnet-private-a", "subnet-private-b", "subnet-private-c"])
    error_message = "Tasks run in public subnets, or not in every private one."
  }
  assert {
    condition     = one(aws_ecs_service.default.network_configuration).security_groups == toset(["sg-0123456789service"]) && aws_ecs_service.default.enable_execute_command != true
    error_message = "Tasks have a wrong security group, or ECS Exec is enabled."
  }
}

run "containers_are_hardened" {
  command = plan
  variables {
    collector = { image = "collector:v0.45.0" }
  }
  assert {
    condition = length(jsondecode(aws_ecs_task_definition.default.container_definitions)) == 3 && alltrue([
      for container in jsondecode(aws_ecs_task_definition.default.container_definitions) :
      container.readonlyRootFilesystem && container.user == "10001:10001" && container.linuxParameters.capabilities.drop == ["ALL"] && !try(container.privileged, false)
    ])
    error_message = "A container has a writable root filesystem, runs as root, or has capabilities."
  }
}

run "a_secret_among_the_settings_is_refused" {
  command = plan
  variables {
    settings = { oidc_client_secret = "0123456789abcdef0123456789abcdef" }
  }
  expect_failures = [var.settings]
}

run "a_service_that_is_open_to_everybody_is_refused" {
  command = plan
  variables {
    settings = { open = "true" }
  }
  expect_failures = [var.settings]
}

run "a_setting_that_there_is_not_is_refused" {
  command = plan
  variables {
    settings = { retain = "730d" }
  }
  expect_failures = [var.settings]
}

run "a_setting_that_the_service_would_not_take_is_refused" {
  command = plan
  variables {
    settings = { retention_period = "2 years" }
  }
  expect_failures = [var.settings]
}
