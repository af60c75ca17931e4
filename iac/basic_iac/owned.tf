# How IAM recognizes the resources of this environment: by name where the ARN contains one, by the tags `environment` and `project` elsewhere.

locals {
  arn_of = { for service in ["acm", "aps", "cloudformation", "cloudwatch", "dynamodb", "ecr", "ecs", "elasticache", "elasticloadbalancing", "kms", "logs", "secretsmanager", "sns", "ssm", "wafv2"] :
  service => "arn:${local.partition}:${service}:${var.region}:${local.account}" }
  arn_of_roles = "arn:${local.partition}:iam::${local.account}"
  parameters   = "${local.arn_of.ssm}:parameter/${local.name}"

  in_region    = { StringEquals = { "aws:RequestedRegion" = var.region } }
  tagged_ours  = { StringEquals = { "aws:ResourceTag/environment" = var.environment, "aws:ResourceTag/project" = var.prefix } }
  created_ours = { StringEquals = { "aws:RequestTag/environment" = var.environment, "aws:RequestTag/project" = var.prefix } }

  # In an account that several environments share, this denial is what keeps a role of one from the resources of the others.
  other_environments = [for tag, value in { environment = var.environment, project = var.prefix } : {
    Sid       = "NotOfAnother${title(tag)}"
    Effect    = "Deny"
    Action    = "*"
    Resource  = "*"
    Condition = { StringNotEquals = { "aws:ResourceTag/${tag}" = value }, Null = { "aws:ResourceTag/${tag}" = "false" } }
  }]

  # Resources of basic_iac and app_iac that have a name.
  named_ours = [
    "arn:${local.partition}:budgets::${local.account}:budget/${local.name}",
    "arn:${local.partition}:cloudwatch::${local.account}:dashboard/${local.name}",
    "arn:${local.partition}:s3:::${local.name}-alb-logs-${local.account}",
    "${local.arn_of.cloudformation}:stack/${local.name}-*/*",
    "${local.arn_of.cloudwatch}:alarm:${local.name}-*",
    "${local.arn_of.dynamodb}:table/${local.name}-*",
    "${local.arn_of.ecr}:repository/${local.name}-*",
    "${local.arn_of.ecs}:cluster/${local.name}",
    "${local.arn_of.elasticache}:*:${local.name}",
    "${local.arn_of.elasticache}:*:${local.name}-*",
    "${local.arn_of.elasticloadbalancing}:listener-rule/app/${local.name}/*",
    "${local.arn_of.elasticloadbalancing}:listener/app/${local.name}/*",
    "${local.arn_of.elasticloadbalancing}:loadbalancer/app/${local.name}/*",
    "${local.arn_of.elasticloadbalancing}:targetgroup/${local.name}-*/*",
    "${local.arn_of.kms}:alias/${local.name}",
    "${local.arn_of.kms}:alias/${local.name}-*",
    "${local.arn_of.logs}:log-group:/${local.name}/*",
    "${local.arn_of.secretsmanager}:secret:${local.name}/*",
    "${local.arn_of.sns}:${local.name}-*",
    "${local.arn_of.wafv2}:regional/webacl/${local.name}/*",
  ]
}
