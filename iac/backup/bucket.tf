# Backups of an environment in another account, so that losing the first account loses no record. The environment can add backups and read
# them, but neither delete nor unlock one.

module "bucket" {
  source = "../modules/secure_bucket"
  name   = "${local.name}-backups-${local.account}"
  days   = { kept = var.days, replaced = var.locked_days }
  statements = [
    {
      Sid       = "WriteBackups"
      Effect    = "Allow"
      Principal = { AWS = local.source_root }
      Action    = ["s3:GetObject", "s3:PutObject"]
      Resource  = "arn:${local.partition}:s3:::${local.name}-backups-${local.account}/*"
      Condition = { ArnEquals = { "aws:PrincipalArn" = local.source_role } }
    },
    {
      Sid       = "ListBackups"
      Effect    = "Allow"
      Principal = { AWS = local.source_root }
      Action    = "s3:ListBucket"
      Resource  = "arn:${local.partition}:s3:::${local.name}-backups-${local.account}"
      Condition = { ArnEquals = { "aws:PrincipalArn" = local.source_role } }
    },
  ]
}

resource "aws_s3_bucket_object_lock_configuration" "default" {
  bucket = module.bucket.name
  rule {
    default_retention {
      mode = "GOVERNANCE"
      days = var.locked_days
    }
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  name        = "${var.prefix}-${var.environment}"
  account     = data.aws_caller_identity.current.account_id
  partition   = data.aws_partition.current.partition
  source_root = "arn:${local.partition}:iam::${var.source_account}:root"
  source_role = "arn:${local.partition}:iam::${var.source_account}:role/${local.name}-backup"
}

output "place" {
  description = "Where `peopleinfo backup` writes, with a folder for each backup below it."
  value       = "s3://${module.bucket.name}"
}
