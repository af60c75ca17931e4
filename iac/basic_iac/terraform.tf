terraform {
  required_version = ">= 1.11, < 2.0"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.29"
    }
  }

  # `bootstrap` publishes the rest (bucket, region, KMS key) for `terraform init -backend-config=FILE`.
  backend "s3" {
    key          = "basic_iac.tfstate"
    use_lockfile = true
  }
}

provider "aws" {
  region = var.region
  default_tags {
    tags = {
      project     = var.prefix
      environment = var.environment
      stack       = "basic"
      managed_by  = "terraform"
    }
  }
}
