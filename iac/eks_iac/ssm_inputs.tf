# Parameters of `basic_iac` and `app_iac`.

data "aws_ssm_parameter" "basic" {
  for_each = toset(["ecr_repository_url", "private_subnet_ids", "public_cidrs", "service_public_ip"])
  name     = "/${local.name}/basic/${each.key}"
}

data "aws_ssm_parameter" "app" {
  for_each = toset([
    "alb_logs_bucket", "cache_security_group_id", "cache_url", "cache_user", "certificate_arn", "drain_seconds", "encryption_url", "store_url", "task_role_arn",
    "web_acl_arn",
  ])
  name = "/${local.name}/app/${each.key}"
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  name      = "${var.prefix}-${var.environment}"
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  basic     = { for key, parameter in data.aws_ssm_parameter.basic : key => parameter.insecure_value }
  app       = { for key, parameter in data.aws_ssm_parameter.app : key => parameter.insecure_value }
}
