# Workflows assume roles of their repository and environment. No role can escalate its permissions or read records.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  environment = "qa"
  region      = "eu-west-1"
  github      = { repository = "example/people-info" }
}

run "by_default" {
  command = plan
  # Roles trust this repository only.
  assert {
    condition = alltrue(flatten([
      for role in aws_iam_role.workflow : [
        for subject in flatten([jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"]]) :
        startswith(subject, "repo:example/people-info:") && !strcontains(subject, "*")
      ]
    ]))
    error_message = "A role trusts tokens of another repository, or any token of this one."
  }
  assert {
    condition = alltrue([
      for task in ["infrastructure", "deploy", "image"] :
      jsondecode(aws_iam_role.workflow[task].assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == ["repo:example/people-info:environment:qa"]
    ])
    error_message = "A role with write access trusts a token without the reviewers of the environment."
  }

  # No role has full access.
  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_role_policy.workflow : [
        for statement in jsondecode(policy.policy).Statement :
        statement.Effect == "Deny" || !anytrue([for action in flatten([statement.Action]) : contains(["*", "iam:*", "sts:*", "s3:*:*", "dynamodb:*"], action)])
      ]
    ]))
    error_message = "A workflow has full access, or full access to IAM or to records."
  }

  # Roles can be created only with the boundary.
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.workflow["infrastructure"].policy).Statement :
      statement.Effect == "Deny" || !contains(flatten([statement.Action]), "iam:CreateRole") || try(statement.Condition.StringEquals["iam:PermissionsBoundary"], "") == aws_iam_policy.boundary.arn
    ])
    error_message = "A workflow may create a role without the boundary."
  }
  assert {
    condition     = aws_iam_role.flow.permissions_boundary == aws_iam_policy.boundary.arn
    error_message = "A role has no boundary."
  }

  # A rollback uses the image that ran before.
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_iam_role_policy.workflow["deploy"].policy).Statement :
      contains(flatten([statement.Action]), "ssm:GetParameterHistory") && flatten([statement.Resource]) == ["arn:aws:ssm:eu-west-1:123456789012:parameter/people-info-qa/deploy/*"]
    ])
    error_message = "The deploy role cannot read the previous version."
  }

  # The roles plan and image cannot read records.
  assert {
    condition = alltrue([
      for task in ["plan", "infrastructure"] : anytrue([
        for statement in jsondecode(aws_iam_role_policy.workflow[task].policy).Statement :
        statement.Effect == "Deny" && contains(flatten([statement.Action]), "dynamodb:Query") && contains(flatten([statement.Action]), "logs:GetLogEvents")
      ])
    ])
    error_message = "The roles plan or image may read records."
  }
  assert {
    condition = alltrue([
      for task in ["plan", "infrastructure"] : anytrue([
        for statement in jsondecode(aws_iam_role_policy.workflow[task].policy).Statement :
        statement.Effect == "Deny" && contains(flatten([statement.Action]), "secretsmanager:GetSecretValue") && try(statement.NotResource, "") == "arn:aws:secretsmanager:eu-west-1:123456789012:secret:people-info-qa/cache_password-*"
      ])
    ])
    error_message = "The roles plan or image may read a secret other than the one that CloudFormation needs."
  }
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_iam_role_policy.workflow["infrastructure"].policy).Statement :
      statement.Effect == "Deny" && try(statement.Resource, "") == "*" && length(setsubtract(["ecs:ExecuteCommand", "ecs:RegisterTaskDefinition", "ecs:RunTask", "ecs:UpdateService"], flatten([statement.Action]))) == 0
    ])
    error_message = "The role image may run tasks with the service's role."
  }
}

run "without_a_repository_no_workflow_may_do_anything" {
  command = plan
  variables {
    github = null
  }
  assert {
    condition     = length(aws_iam_role.workflow) == 0 && length(aws_iam_openid_connect_provider.github) == 0
    error_message = "Workflow roles exist although no repository is configured."
  }
}

run "a_repository_with_a_wildcard_is_refused" {
  command = plan
  variables {
    github = { repository = "example/*" }
  }
  expect_failures = [var.github]
}

run "previews_have_no_right_outside_of_their_names" {
  command = plan
  variables {
    previews = true
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.workflow["preview"].policy).Statement : statement.Effect == "Deny" || alltrue([
        for resource in flatten([statement.Resource]) :
        can(regex("[:/](people-info-qa-preview|people-info-qa-pr-|people-info-qa/people-info-qa-preview-|people-info-qa/preview/|people-info-qa-state-123456789012/preview/)", resource)) ||
        alltrue([for action in flatten([statement.Action]) : can(regex("^(ssm:(Get|List|Describe)|s3:ListBucket|kms:|ecr:GetAuthorizationToken|e(c2|cs|lasticloadbalancing):Describe|ecs:List)", action))]) ||
        anytrue([for tag in ["aws:RequestTag/stack", "aws:ResourceTag/stack"] : try(statement.Condition.StringEquals[tag], "") == "preview"])
      ])
    ])
    error_message = "The preview role may change a resource of the environment."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.workflow["preview"].policy).Statement :
      try(statement.Condition.StringEquals["elasticloadbalancing:CreateAction"], "") == "CreateRule"
      if contains(flatten([statement.Action]), "elasticloadbalancing:AddTags") && anytrue([for resource in flatten([statement.Resource]) : strcontains(resource, ":listener")])
    ])
    error_message = "The preview role may tag a rule of the service and then change it."
  }
  assert {
    condition     = jsondecode(aws_iam_role.workflow["preview"].assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == ["repo:example/people-info:environment:preview", "repo:example/people-info:environment:preview-sweep"]
    error_message = "Previews are deployed outside the environments `preview` and `preview-sweep`."
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
