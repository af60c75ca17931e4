# The keys of encrypted records (deploy_iac: encryption). Restoring a key would restore an erased person, so this table has
# no point-in-time recovery and must not be part of a backup plan. Deletion protection guards it against mistakes.
#trivy:ignore:AVD-AWS-0024 On purpose, see above.
resource "aws_dynamodb_table" "keys" {
  name                        = "${module.people.table.name}-keys"
  billing_mode                = "PAY_PER_REQUEST"
  deletion_protection_enabled = var.deletion_protection
  hash_key                    = "pk"

  attribute {
    name = "pk"
    type = "B"
  }

  point_in_time_recovery {
    enabled = false
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = module.people_key.arn
  }
}
