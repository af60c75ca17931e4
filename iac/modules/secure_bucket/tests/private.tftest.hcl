mock_provider "aws" {
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::people-info-qa-trial" }
  }
}

variables {
  name        = "people-info-qa-trial"
  kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/trial"
}

run "by_default" {
  # A bucket is private encrypted and versioned.
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.default.block_public_acls,
      aws_s3_bucket_public_access_block.default.block_public_policy,
      aws_s3_bucket_public_access_block.default.ignore_public_acls,
      aws_s3_bucket_public_access_block.default.restrict_public_buckets,
    ])
    error_message = "The bucket can be made public."
  }
  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.default.rule).apply_server_side_encryption_by_default).kms_master_key_id == var.kms_key_arn
    error_message = "The bucket is not encrypted with the given key."
  }
  assert {
    condition     = one(aws_s3_bucket_versioning.default.versioning_configuration).status == "Enabled"
    error_message = "Overwritten objects are lost."
  }

  # The bucket requires TLS.
  assert {
    condition = anytrue([
      for statement in jsondecode(aws_s3_bucket_policy.default.policy).Statement :
      statement.Effect == "Deny" && try(statement.Condition.Bool["aws:SecureTransport"], "") == "false"
    ])
    error_message = "The bucket is reachable without TLS."
  }
}

run "without_a_key_it_is_encrypted_all_the_same" {
  command = plan
  variables {
    kms_key_arn = null
  }
  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.default.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "The bucket is not encrypted."
  }
}
