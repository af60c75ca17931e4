# Roles allow exactly the calls of the code (tests/iac/test_rights.py simulates each call).

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

# It has separate tests, and its plan takes longer than all others.
override_module {
  target  = module.firewall
  outputs = { arn = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/people-info-qa/55555555-5555-5555-5555-555555555555" }
}

variables {
  environment = "qa"
  region      = "eu-west-1"
  endpoint    = { domain_name = "people.example.org", zone_id = "Z0123456789EXAMPLE" }
}

run "by_default" {
  command = plan
  # No wildcard permissions.
  assert {
    condition = alltrue(flatten([
      for policy in [aws_iam_role_policy.task, aws_iam_role_policy.execution, aws_iam_role_policy.blue_green] : [
        for statement in jsondecode(policy.policy).Statement : [for action in flatten([statement.Action]) : !strcontains(action, "*")]
      ]
    ]))
    error_message = "A role has a permission with a wildcard."
  }
  assert {
    condition = alltrue(flatten([
      for policy in [aws_iam_role_policy.task, aws_iam_role_policy.execution] : [
        for statement in jsondecode(policy.policy).Statement :
        !contains(flatten([statement.Resource]), "*") || alltrue([for action in flatten([statement.Action]) : contains(["ecr:GetAuthorizationToken"], action)])
      ]
    ]))
    error_message = "A role has a permission for every resource."
  }

  # The service reads and writes records and manages no resource.
  assert {
    condition = toset(flatten([for statement in jsondecode(aws_iam_role_policy.task.policy).Statement : statement.Action])) == toset([
      "dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:GetItem",
      "dynamodb:PutItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:UpdateItem", "kms:Decrypt", "kms:Encrypt",
    ])
    error_message = "The task has permissions beyond the calls of the code."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.task.policy).Statement : length(try(statement.Condition, {})) > 0
      if anytrue([for action in flatten([statement.Action]) : startswith(action, "kms:")])
    ])
    error_message = "The task may use a key for any purpose."
  }

  # Only ECS assumes the roles, and all have the permissions boundary.
  assert {
    condition = alltrue([
      for role in [aws_iam_role.task, aws_iam_role.execution, aws_iam_role.blue_green] :
      role.permissions_boundary == "arn:aws:iam::123456789012:policy/people-info-qa-boundary" &&
      contains(["ecs-tasks.amazonaws.com", "ecs.amazonaws.com"], jsondecode(role.assume_role_policy).Statement[0].Principal.Service) &&
      jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012"
    ])
    error_message = "A role has no boundary, or principals other than ECS in this account may assume it."
  }
}

run "rights_come_with_what_needs_them" {
  command = plan
  variables {
    traces       = true
    prometheus   = true
    alarm_emails = ["oncall@example.org"]
  }
  assert {
    condition     = length(setsubtract(["aps:RemoteWrite", "xray:PutTraceSegments"], flatten([for statement in jsondecode(aws_iam_role_policy.task.policy).Statement : statement.Action]))) == 0
    error_message = "The task lacks a permission that a variable requires."
  }
}

run "the_consoles_secret_is_read_where_there_is_one" {
  command = plan
  variables {
    oidc_client_secret = true
  }
  assert {
    condition     = aws_secretsmanager_secret.oidc_client_secret[0].kms_key_id == module.people_key.arn && aws_ssm_parameter.published["oidc_client_secret_arn"].insecure_value == aws_secretsmanager_secret.oidc_client_secret[0].arn
    error_message = "The console's secret is not encrypted with the key for people, or its ARN is not published."
  }
  assert {
    condition     = contains(one([for statement in jsondecode(aws_iam_role_policy.execution.policy).Statement : statement.Resource if statement.Sid == "ReadSecrets"]), aws_secretsmanager_secret.oidc_client_secret[0].arn)
    error_message = "A task with the console's secret could not start."
  }
}

run "pods_of_the_one_cluster_have_the_role_too_when_asked" {
  command = plan
  variables {
    kubernetes = true
  }
  assert {
    condition     = [for statement in jsondecode(aws_iam_role.task.assume_role_policy).Statement : [statement.Principal.Service, try(statement.Condition.ArnEquals["aws:SourceArn"], "")]] == [["ecs-tasks.amazonaws.com", ""], ["pods.eks.amazonaws.com", "arn:aws:eks:eu-west-1:123456789012:cluster/people-info-qa"]]
    error_message = "Pods cannot assume the role, or pods of another cluster can."
  }
}

run "previews_reach_nothing_of_the_environment" {
  command = plan
  variables {
    previews = true
  }
  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.preview["task"].policy).Statement : statement.Resource] == ["arn:aws:dynamodb:eu-west-1:123456789012:table/people-info-qa-preview-*"]
    error_message = "A preview may read or change records of the environment, or decrypt its keys."
  }
  assert {
    condition     = alltrue([for role in aws_iam_role.preview : role.permissions_boundary == "arn:aws:iam::123456789012:policy/people-info-qa-boundary"])
    error_message = "A role of previews has no boundary."
  }
  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.preview["execution"].policy).Statement : statement.Condition.StringLike["kms:EncryptionContext:SecretARN"] if contains(flatten([statement.Action]), "kms:Decrypt")] == ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:people-info-qa/preview_admin_key-*"]
    error_message = "A preview can be started with a secret of the environment."
  }
}

run "previews_beside_prod_are_refused" {
  command = plan
  variables {
    environment = "prod"
    previews    = true
  }
  expect_failures = [var.previews]
}
