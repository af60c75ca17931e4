terraform {
  required_version = ">= 1.11, < 2.0"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.29"
    }
  }

  # This stack creates the bucket for the states of all stacks, so its own state starts as a local file. `iac/README.md` moves it into the
  # bucket afterwards.
}

provider "aws" {
  region = var.region
  default_tags {
    tags = {
      project     = var.prefix
      environment = var.environment
      stack       = "bootstrap"
      managed_by  = "terraform"
    }
  }
}
