# The role with which an operator runs `peopleinfo backup`: it reads every record and writes to the bucket of the stack `backup`.

resource "aws_iam_role" "backup" {
  count                = var.backup == null ? 0 : 1
  name                 = "${local.name}-backup"
  description          = "Backups of ${local.name} into another account."
  permissions_boundary = local.basic["boundary_arn"]
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { AWS = var.backup.operators }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_role_policy" "backup" {
  count = var.backup == null ? 0 : 1
  name  = "backup"
  role  = aws_iam_role.backup[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "ReadRecords", Effect = "Allow", Action = ["dynamodb:BatchGetItem", "dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan"], Resource = module.people.table.arn },
      { Sid = "ReadTheirKeys", Effect = "Allow", Action = ["dynamodb:BatchGetItem", "dynamodb:GetItem"], Resource = aws_dynamodb_table.keys.arn },
      {
        Sid       = "DecryptTheTables"
        Effect    = "Allow"
        Action    = "kms:Decrypt"
        Resource  = module.people_key.arn
        Condition = { StringEquals = { "kms:ViaService" = "dynamodb.${var.region}.amazonaws.com" } }
      },
      {
        Sid       = "DecryptRecords"
        Effect    = "Allow"
        Action    = "kms:Decrypt"
        Resource  = module.sealing_key.arn
        Condition = { StringEquals = { "kms:EncryptionContext:service" = "peopleinfo" } }
      },
      { Sid = "WriteBackups", Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject"], Resource = "${local.backup_bucket}/*" },
      { Sid = "ListBackups", Effect = "Allow", Action = "s3:ListBucket", Resource = local.backup_bucket },
    ]
  })
}

locals {
  backup_bucket = "arn:${local.partition}:s3:::${local.name}-backups-${try(var.backup.account, "")}"
}

output "backup_role_arn" {
  description = "The role that operators assume for a backup, or null."
  value       = one(aws_iam_role.backup[*].arn)
}
