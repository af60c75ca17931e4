# Parameters of `basic_iac`.

data "aws_ssm_parameter" "basic" {
  for_each = toset(["boundary_arn", "ecr_repository_arn", "ecs_cluster_name", "private_subnet_ids", "profile", "public_subnet_ids", "vpc_id"])
  name     = "/${local.name}/basic/${each.key}"
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  name      = "${var.prefix}-${var.environment}"
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  basic     = { for key, parameter in data.aws_ssm_parameter.basic : key => parameter.insecure_value }
  private   = split(",", local.basic["private_subnet_ids"])
  public    = split(",", local.basic["public_subnet_ids"])
}
