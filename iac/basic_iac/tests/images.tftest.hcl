# A pushed version is immutable.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  environment = "qa"
  region      = "eu-west-1"
}

run "by_default" {
  command = plan
  # Images are immutable scanned and encrypted.
  assert {
    condition     = aws_ecr_repository.default.image_tag_mutability == "IMMUTABLE"
    error_message = "Tags are mutable."
  }
  assert {
    condition     = one(aws_ecr_repository.default.image_scanning_configuration).scan_on_push
    error_message = "Images are not scanned."
  }
  assert {
    condition     = one(aws_ecr_repository.default.encryption_configuration).kms_key == module.key.arn
    error_message = "Images are not encrypted with the key."
  }

  # Versions for a rollback are kept.
  assert {
    condition = anytrue([
      for rule in jsondecode(aws_ecr_lifecycle_policy.default.policy).rules :
      rule.selection.tagStatus == "tagged" && try(rule.selection.tagPatternList, []) == ["*.*.*"] && rule.selection.countType == "imageCountMoreThan" && rule.selection.countNumber >= 5
    ])
    error_message = "The lifecycle policy leaves no version for a rollback."
  }
  assert {
    condition = alltrue([
      for rule in jsondecode(aws_ecr_lifecycle_policy.default.policy).rules :
      rule.selection.tagStatus == "tagged" || (rule.selection.tagStatus == "untagged" && rule.selection.countType == "sinceImagePushed" && rule.selection.countNumber >= 7)
    ])
    error_message = "Manifests expire while they are pushed, scanned or signed."
  }
}
