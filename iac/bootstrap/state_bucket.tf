# The bucket for the states of the other stacks: one key per stack, with a lock file next to it.

module "state_key" {
  source      = "../modules/kms_key"
  name        = "${local.name}-state"
  description = "The Terraform states of ${local.name}."
}

module "state_bucket" {
  source      = "../modules/secure_bucket"
  name        = "${local.name}-state-${data.aws_caller_identity.current.account_id}"
  kms_key_arn = module.state_key.arn
  days        = { replaced = 365 }
}

data "aws_caller_identity" "current" {}

locals {
  name = "${var.prefix}-${var.environment}"
}
