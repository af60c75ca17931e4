resource "aws_ecr_repository" "default" {
  name                 = "${local.name}-api"
  image_tag_mutability = "IMMUTABLE"
  image_scanning_configuration {
    scan_on_push = true
  }
  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = module.key.arn
  }
}

resource "aws_ecr_lifecycle_policy" "default" {
  repository = aws_ecr_repository.default.name
  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "Untagged manifests expire after a week; those of an index stay with it."
      selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 7 }
      action       = { type = "expire" }
      }, {
      rulePriority = 2
      # An image that a rule matches is expired by no later rule. scripts/protect_image tags what is deployed, so prod may run an old version.
      description = "Images that have run."
      selection   = { tagStatus = "tagged", tagPatternList = ["ran-*"], countType = "imageCountMoreThan", countNumber = var.images_kept }
      action      = { type = "expire" }
      }, {
      rulePriority = 3
      # An index has manifests for each platform, a signature and an attestation: only tags of versions are counted.
      description = "Versions to roll back to."
      selection   = { tagStatus = "tagged", tagPatternList = ["*.*.*"], countType = "imageCountMoreThan", countNumber = var.images_kept }
      action      = { type = "expire" }
    }]
  })
}
