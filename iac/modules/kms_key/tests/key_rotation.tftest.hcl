mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
}

variables {
  name        = "people-info-qa-trial"
  description = "A trial."
}

run "by_default" {
  command = plan
  # A key is rotated and cannot be deleted at once.
  assert {
    condition     = aws_kms_key.default.enable_key_rotation && aws_kms_key.default.deletion_window_in_days == 30
    error_message = "The key is not rotated, or can be deleted within days."
  }
  assert {
    condition     = aws_kms_alias.default.name == "alias/people-info-qa-trial"
    error_message = "The key does not have its alias."
  }

  # No principal outside the account has access.
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_kms_key.default.policy).Statement :
      statement.Principal == { AWS = "arn:aws:iam::123456789012:root" }
    ])
    error_message = "The key's policy grants access to a principal outside the account."
  }
}
