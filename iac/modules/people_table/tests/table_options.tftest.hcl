mock_provider "aws" {}

variables {
  name        = "people-info-qa-people"
  kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/11111111-1111-1111-1111-111111111111"
  protected   = { from_deletion = true, recovery_days = 35 }
}

run "by_default" {
  command = plan
  assert {
    condition     = aws_dynamodb_table.people.name == "people-info-qa-people" && aws_dynamodb_table.people.deletion_protection_enabled && one(aws_dynamodb_table.people.point_in_time_recovery).recovery_period_in_days == 35
    error_message = "The table has another name, or not the requested protection."
  }
  assert {
    condition     = one(aws_dynamodb_table.people.server_side_encryption).enabled && one(aws_dynamodb_table.people.server_side_encryption).kms_key_arn == "arn:aws:kms:eu-west-1:123456789012:key/11111111-1111-1111-1111-111111111111"
    error_message = "The table is not encrypted with the given key."
  }
  assert {
    condition     = aws_dynamodb_table.people.billing_mode == "PAY_PER_REQUEST" && one(aws_dynamodb_table.people.ttl).attribute_name == "expires_at" && one(aws_dynamodb_table.people.ttl).enabled
    error_message = "The table has a fixed capacity, or does not delete expired items."
  }
}

run "nothing_is_kept_of_what_is_only_looked_at" {
  command = plan
  variables {
    kms_key_arn = null
    protected   = { from_deletion = false, recovery_days = 0 }
  }
  assert {
    condition     = !aws_dynamodb_table.people.deletion_protection_enabled && length(aws_dynamodb_table.people.point_in_time_recovery) == 0 && one(aws_dynamodb_table.people.server_side_encryption).enabled
    error_message = "The table cannot be destroyed, or is not encrypted."
  }
}
