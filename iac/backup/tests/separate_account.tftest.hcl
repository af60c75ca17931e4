# The environment's account writes backups and cannot remove them.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  environment    = "qa"
  region         = "eu-west-1"
  source_account = "210987654321"
}

run "by_default" {
  assert {
    condition     = output.place == "s3://people-info-qa-backups-123456789012"
    error_message = "The role of app_iac may write to another bucket: ${output.place}."
  }
  assert {
    condition = [for statement in jsondecode(module.bucket.policy).Statement : [statement.Action, statement.Principal.AWS, statement.Condition.ArnEquals["aws:PrincipalArn"]] if statement.Effect == "Allow"] == [
      [["s3:GetObject", "s3:PutObject"], "arn:aws:iam::210987654321:root", "arn:aws:iam::210987654321:role/people-info-qa-backup"],
      ["s3:ListBucket", "arn:aws:iam::210987654321:root", "arn:aws:iam::210987654321:role/people-info-qa-backup"],
    ]
    error_message = "Others than the backup role write here, or it may delete backups."
  }
  assert {
    condition     = one(one(aws_s3_bucket_object_lock_configuration.default.rule).default_retention).mode == "GOVERNANCE" && one(one(aws_s3_bucket_object_lock_configuration.default.rule).default_retention).days == 14
    error_message = "Backups can be deleted at once."
  }
}

run "same_account_is_refused" {
  command = plan
  variables {
    source_account = "123456789012"
  }
  expect_failures = [var.source_account]
}

run "backups_that_expire_while_they_are_locked_are_refused" {
  command = plan
  variables {
    days = 7
  }
  expect_failures = [var.days]
}
