# What GitHub's workflows may do here, by tokens that last minutes: no key is kept anywhere. A role a task; each trusts this repository
# alone, and those that change something its environment alone, whose reviewers GitHub asks.

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
          "${local.github_issuer}:sub" = [for subject in each.value.subjects : "repo:${var.github.repository}:${subject}"]
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "workflow" {
  for_each = aws_iam_role.workflow
  name     = "task"
  role     = each.value.id
  policy   = jsonencode({ Version = "2012-10-17", Statement = local.workflows[each.key].statements })
}

# Looking at everything's settings takes a right to nearly every Describe, Get and List. What would show people is taken out again.
resource "aws_iam_role_policy_attachment" "plan" {
  for_each   = { for task, role in aws_iam_role.workflow : task => role if task == "plan" }
  role       = each.value.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/ReadOnlyAccess"
}

locals {
  github_issuer = "token.actions.githubusercontent.com"
  environment   = ["environment:${var.environment}"]

  workflows = {
    plan = {
      description = "Plans changes, and looks whether somebody has changed something by hand."
      subjects    = ["pull_request", "ref:refs/heads/main"]
      statements  = concat(local.rights.read_state, local.rights.see_no_people)
    }
    infrastructure = {
      description = "Applies basic_iac and app_iac."
      subjects    = local.environment
      statements  = concat(local.rights.state["basic_iac"], local.rights.state["app_iac"], local.rights.build, local.rights.make_roles, local.rights.see_no_people)
    }
    image = {
      description = "Pushes images."
      subjects    = local.environment
      statements  = local.rights.push
    }
    preview = {
      description = "Shows a branch beside the environment: builds its image, applies preview_iac, and takes it down again."
      subjects    = ["environment:preview", "ref:refs/heads/main"] # from main each night, to take down what nobody looks at any more
      statements  = local.preview_rights
    }
    deploy = {
      description = "Applies deploy_iac: one image version, to one service."
      subjects    = local.environment
      statements  = concat(local.rights.state["deploy_iac"], local.rights.deploy)
    }
  }
}
