# A preview has its own names and no access to the environment's records, keys and secrets.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  environment = "qa"
  region      = "eu-west-1"
  number      = 7
  image       = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/people-info-qa-preview@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
}

run "by_default" {
  assert {
    condition     = alltrue([for name in [module.people.table.name, aws_ecs_service.default.name, aws_ecs_task_definition.default.family] : name == "people-info-qa-preview-pr-7"])
    error_message = "A resource of the preview has a name of the environment."
  }
  assert {
    condition = { for setting in jsondecode(aws_ecs_task_definition.default.container_definitions)[0].environment : setting.name => setting.value } == {
      PEOPLEINFO_HOST            = "0.0.0.0"
      PEOPLEINFO_TRUSTED_PROXIES = "1"
      PEOPLEINFO_STORE_URL       = "dynamodb://eu-west-1/people-info-qa-preview-pr-7"
    }
    error_message = "The preview uses another table than its own, or the cache of the environment."
  }
  assert {
    condition     = strcontains(jsondecode(aws_ecs_task_definition.default.container_definitions)[0].secrets[0].valueFrom, "preview_admin_key") && length(jsondecode(aws_ecs_task_definition.default.container_definitions)[0].secrets) == 1
    error_message = "The preview has access to a secret of the environment."
  }
  assert {
    condition     = strcontains(aws_ecs_task_definition.default.task_role_arn, "preview") && strcontains(aws_ecs_task_definition.default.execution_role_arn, "preview")
    error_message = "The preview has a role of the environment."
  }
  assert {
    condition     = aws_lb_listener_rule.default.priority == 7 && one(one(aws_lb_listener_rule.default.condition).host_header).values == toset(["pr-7.people.qa.example.org"])
    error_message = "The preview has another host name, or its rule comes after the rule of the service."
  }
  assert {
    condition     = !one(aws_ecs_service.default.network_configuration).assign_public_ip && one(aws_ecs_service.default.network_configuration).security_groups == toset(["sg-0123456789preview"])
    error_message = "The preview has a public address, or the network access of the service."
  }
  assert {
    condition = alltrue([
      for container in jsondecode(aws_ecs_task_definition.default.container_definitions) :
      container.readonlyRootFilesystem && container.user == "10001:10001" && container.linuxParameters.capabilities.drop == ["ALL"]
    ])
    error_message = "The preview has a writable root filesystem, runs as root, or has capabilities."
  }
}

# tests/iac/test_stacks.py checks this plan.
run "applied_again_it_changes_nothing" {
  command = plan
}

run "a_number_that_would_come_after_the_service_is_refused" {
  command = plan
  variables {
    number = 50000
  }
  expect_failures = [var.number]
}

run "a_name_that_moves_is_refused" {
  command = plan
  variables {
    image = "people-info-qa-preview:latest"
  }
  expect_failures = [var.image]
}
