# The table of records.

module "people" {
  source      = "../modules/people_table"
  name        = "${local.name}-people"
  kms_key_arn = module.people_key.arn
  protected   = { from_deletion = var.deletion_protection, recovery_days = 35 }
}

moved {
  from = aws_dynamodb_table.people
  to   = module.people.aws_dynamodb_table.people
}
