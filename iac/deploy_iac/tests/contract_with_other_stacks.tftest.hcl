# The service receives the parameters of the other stacks.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  environment   = "qa"
  region        = "eu-west-1"
  image_version = "1.4.2"
}

run "by_default" {
  # One version runs, and its parameters name it.
  assert {
    condition     = alltrue([for container in jsondecode(aws_ecs_task_definition.default.container_definitions) : container.image == "123456789012.dkr.ecr.eu-west-1.amazonaws.com/people-info-qa-api:1.4.2"])
    error_message = "The containers do not run the requested version."
  }
  assert {
    condition     = { for parameter in aws_ssm_parameter.published : parameter.name => parameter.insecure_value } == { "/people-info-qa/deploy/service_name" = "people-info-qa-api", "/people-info-qa/deploy/task_definition" = aws_ecs_task_definition.default.arn }
    error_message = "scripts/check_deployment cannot compare the running version with the applied one."
  }
  assert {
    condition     = [aws_ssm_parameter.verified["image_version"].name, aws_ssm_parameter.verified["image_version"].insecure_value] == ["/people-info-qa/deploy/image_version", "none"]
    error_message = "A version is published as running before its verification."
  }

  # Logs and audit events have separate log groups.
  assert {
    condition = [for container in jsondecode(aws_ecs_task_definition.default.container_definitions) : [container.name, container.command, container.logConfiguration.options.awslogs-group]] == [
      ["api", ["serve"], "/people-info-qa/application"],
      ["audit", ["audit", "follow", "/audit/audit.jsonl", "--rotate-mb", "64"], "/people-info-qa/audit"],
    ]
    error_message = "Audit events do not reach their log group."
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.default.container_definitions)[0].dependsOn == [{ containerName = "audit", condition = "START" }] && jsondecode(aws_ecs_task_definition.default.container_definitions)[1].logConfiguration.options.mode == "blocking"
    error_message = "Audit events would be lost at the end of a task, or while CloudWatch is slow."
  }

  # Names are stable.
  assert {
    condition     = aws_ecs_service.default.name == "people-info-qa-api" && aws_ecs_task_definition.default.family == "people-info-qa-api" && aws_ecs_service.default.cluster == "people-info-qa"
    error_message = "The service has another name, so it would be replaced with downtime."
  }
}

# tests/iac/test_stacks.py checks this plan.
run "applied_again_it_changes_nothing" {
  command = plan
}

run "endpoints_reach_the_service" {
  command = plan
  variables {
    settings = { max_connections = "2000", cors_origins = "https://app.example.org", log_level = "warning", rate_limit_shared = "true", retention_period = "730d" }
  }
  assert {
    condition = { for setting in jsondecode(aws_ecs_task_definition.default.container_definitions)[0].environment : setting.name => setting.value } == {
      PEOPLEINFO_AUDIT_LOG         = "file:///audit/audit.jsonl"
      PEOPLEINFO_CACHE_URL         = "rediss://master.people-info-qa.abc123.euw1.cache.amazonaws.com:6379"
      PEOPLEINFO_CACHE_USER        = "people-info-qa-service"
      PEOPLEINFO_MAX_CONNECTIONS   = "2000"
      PEOPLEINFO_CORS_ORIGINS      = "https://app.example.org"
      PEOPLEINFO_DRAIN_SECONDS     = "15"
      PEOPLEINFO_ENCRYPTION        = "aws-kms://arn:aws:kms:eu-west-1:123456789012:key/33333333-3333-3333-3333-333333333333"
      PEOPLEINFO_HOST              = "0.0.0.0"
      PEOPLEINFO_LOG_LEVEL         = "warning"
      PEOPLEINFO_PORT              = "3000"
      PEOPLEINFO_TRUSTED_PROXIES   = "1"
      PEOPLEINFO_RATE_LIMIT_SHARED = "true"
      PEOPLEINFO_RETENTION_PERIOD  = "730d"
      PEOPLEINFO_STORE_URL         = "dynamodb://eu-west-1/people-info-qa-people"
    }
    error_message = "The settings of the service differ from the parameters of the other stacks."
  }
  assert {
    condition     = aws_ecs_task_definition.default.task_role_arn == "arn:aws:iam::123456789012:role/people-info-qa-task" && aws_ecs_task_definition.default.execution_role_arn == "arn:aws:iam::123456789012:role/people-info-qa-execution"
    error_message = "The task does not have its two roles."
  }
}

run "a_digest_is_a_version_too" {
  command = plan
  variables {
    image_version = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }
  assert {
    condition     = endswith(jsondecode(aws_ecs_task_definition.default.container_definitions)[0].image, "people-info-qa-api@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
    error_message = "The image is not named by its digest."
  }
}

run "a_name_that_moves_is_refused" {
  command = plan
  variables {
    image_version = "latest"
  }
  expect_failures = [var.image_version]
}

run "the_consoles_secret_comes_by_reference_where_there_is_one" {
  command = plan
  override_data {
    target = data.aws_ssm_parameter.app["oidc_client_secret_arn"]
    values = { insecure_value = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:people-info-qa/oidc_client_secret-AbCdEf" }
  }
  assert {
    condition     = contains(jsondecode(aws_ecs_task_definition.default.container_definitions)[0].secrets, { name = "PEOPLEINFO_OIDC_CLIENT_SECRET", valueFrom = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:people-info-qa/oidc_client_secret-AbCdEf" })
    error_message = "The console has no client secret for the OpenID provider."
  }
}

run "metrics_and_traces_when_asked_for" {
  command = plan
  variables {
    collector = { image = "collector:v0.45.0" }
  }
  override_data {
    target = data.aws_ssm_parameter.app["prometheus_url"]
    values = { insecure_value = "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-0123/api/v1/remote_write" }
  }
  assert {
    condition     = strcontains(jsondecode(aws_ecs_task_definition.default.container_definitions)[2].environment[0].value, "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-0123/api/v1/remote_write")
    error_message = "The collector does not write to the workspace of app_iac."
  }
  assert {
    condition     = contains(jsondecode(aws_ecs_task_definition.default.container_definitions)[0].environment, { name = "PEOPLEINFO_METRICS_AUTH", value = "none" })
    error_message = "The collector has no key and cannot read the metrics."
  }
  # Every task scrapes 127.0.0.1: without a label for the task, all tasks share the same series.
  assert {
    condition = (
      yamldecode(jsondecode(aws_ecs_task_definition.default.container_definitions)[2].environment[0].value).processors["resource/instance"].attributes == [{ key = "service.instance.id", from_attribute = "aws.ecs.task.arn", action = "upsert" }] &&
      yamldecode(jsondecode(aws_ecs_task_definition.default.container_definitions)[2].environment[0].value).service.pipelines.metrics.processors == ["resourcedetection", "resource/instance", "batch"]
    )
    error_message = "The series of different tasks have the same instance."
  }
}

run "a_workspace_without_a_collector_is_refused" {
  command = plan
  override_data {
    target = data.aws_ssm_parameter.app["prometheus_url"]
    values = { insecure_value = "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-0123/api/v1/remote_write" }
  }
  expect_failures = [aws_ecs_task_definition.default]
}
