# A KMS key with yearly rotation and an alias. Principals with IAM permissions of the account may use it, and those of `statements`.

resource "aws_kms_key" "default" {
  description             = var.description
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([{
      Sid       = "AccountByItsOwnPolicies"
      Effect    = "Allow"
      Principal = { AWS = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root" }
      Action    = "kms:*"
      Resource  = "*"
    }], var.statements)
  })
}

resource "aws_kms_alias" "default" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.default.key_id
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}
