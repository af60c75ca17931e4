terraform {
  required_version = ">= 1.11, < 2.0"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.29"
    }
  }

  # The rest (bucket, region, key of the encryption) is what `bootstrap` says, by `terraform init -backend-config=FILE`.
  backend "s3" {
    key          = "deploy_iac.tfstate"
    use_lockfile = true
  }
}

provider "aws" {
  region = var.region
  default_tags {
    tags = {
      project     = var.prefix
      environment = var.environment
      stack       = "deploy"
      managed_by  = "terraform"
    }
  }
}
