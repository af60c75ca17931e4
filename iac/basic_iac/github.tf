# The roles of GitHub workflows, with OIDC tokens instead of stored AWS keys. One role per task; each trusts exact subjects
# of this repository: the GitHub environments of this environment, which may require reviewers.

resource "aws_iam_openid_connect_provider" "github" {
  count          = var.github != null && try(var.github.oidc_provider_arn, null) == null ? 1 : 0
  url            = "https://${local.github_issuer}"
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_iam_role" "workflow" {
  for_each             = { for task, workflow in local.workflows : task => workflow if var.github != null && (task != "preview" || var.previews) }
  name                 = "${local.name}-workflow-${each.key}"
  description          = each.value.description
  max_session_duration = 3600
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = coalesce(var.github.oidc_provider_arn, one(aws_iam_openid_connect_provider.github[*].arn)) }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "${local.github_issuer}:aud" = "sts.amazonaws.com"
          "${local.github_issuer}:sub" = [for pair in setproduct(local.repositories, each.value.environments) : "repo:${pair[0]}:environment:${pair[1]}"]
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "workflow" {
  for_each = aws_iam_role.workflow
  name     = "task"
  role     = each.value.id
  policy   = jsonencode({ Version = "2012-10-17", Statement = concat(local.workflows[each.key].statements, local.other_environments) })
}

# Policies that exceed the limit of inline policies (10,240 characters).
resource "aws_iam_policy" "workflow" {
  for_each    = { for name, statements in local.managed_policies : name => statements if var.github != null }
  name        = "${local.name}-workflow-${each.key}"
  description = "Workflows of ${local.name}: ${each.key}."
  policy      = jsonencode({ Version = "2012-10-17", Statement = each.value })
}

resource "aws_iam_role_policy_attachment" "workflow" {
  for_each   = { for name, task in { plan = "plan-read", read = "plan-read", network = "infrastructure-network", service = "infrastructure-service" } : name => task if var.github != null }
  role       = aws_iam_role.workflow[each.key == "plan" ? "plan" : "infrastructure"].name
  policy_arn = aws_iam_policy.workflow[each.value].arn
}

locals {
  github_issuer = "token.actions.githubusercontent.com"

  # GitHub writes OWNER@OWNER_ID/NAME@REPOSITORY_ID for repositories that were created, renamed or transferred after July 2026 and for new
  # forks, OWNER/NAME for others.
  repositories = var.github == null ? [] : compact([
    var.github.repository,
    var.github.owner_id == null ? "" : format("%s@%s/%s@%s", split("/", var.github.repository)[0], var.github.owner_id, split("/", var.github.repository)[1], var.github.repository_id),
  ])

  managed_policies = {
    plan-read              = local.rights.read_settings
    infrastructure-network = local.rights.manage_network
    infrastructure-service = local.rights.manage_service
  }

  workflows = {
    plan = {
      description  = "Plans changes and detects drift."
      environments = ["${var.environment}-plan"]
      statements   = concat(local.rights.read_state, local.rights.hide_people)
    }
    infrastructure = {
      description  = "Applies basic_iac and app_iac."
      environments = [var.environment]
      statements   = concat(local.rights.state["basic_iac"], local.rights.state["app_iac"], local.rights.manage_keys, local.rights.make_roles, local.rights.hide_people)
    }
    image = {
      description  = "Pushes images."
      environments = [var.environment]
      statements   = local.rights.push
    }
    preview = {
      description  = "Deploys a branch next to the environment: builds its image, applies preview_iac and destroys it."
      environments = ["preview", "preview-sweep"] # preview-sweep removes forgotten previews each night, from main
      statements   = local.preview_rights
    }
    deploy = {
      description  = "Applies deploy_iac: one image version, to one service."
      environments = [var.environment]
      statements   = concat(local.rights.state["deploy_iac"], local.rights.deploy)
    }
  }
}
