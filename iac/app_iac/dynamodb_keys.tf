# The keys of the people, when they are sealed (deploy_iac: encryption). Whoever can bring a key back brings an erased person back, so these
# cannot be brought back: no recovery, and no plan of backups may take this table in. Its protection is that it cannot be deleted by a slip.
#trivy:ignore:AVD-AWS-0024 On purpose, as said above.
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
