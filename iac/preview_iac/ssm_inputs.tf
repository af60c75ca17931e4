# Parameters of `basic_iac` and `app_iac`.

data "aws_ssm_parameter" "basic" {
  for_each = toset(["ecs_cluster_name", "private_subnet_ids", "vpc_id"])
  name     = "/${local.name}/basic/${each.key}"
}

data "aws_ssm_parameter" "app" {
  for_each = toset(["previews"])
  name     = "/${local.name}/app/${each.key}"
}

locals {
  name     = "${var.prefix}-${var.environment}"
  preview  = "pr-${var.number}"
  basic    = { for key, parameter in data.aws_ssm_parameter.basic : key => parameter.insecure_value }
  app      = { for key, parameter in data.aws_ssm_parameter.app : key => parameter.insecure_value }
  previews = jsondecode(local.app["previews"])
}
