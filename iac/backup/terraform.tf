terraform {
  required_version = ">= 1.11, < 2.0"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.29"
    }
  }

  # Applied once, with credentials of the backup account. Its state is a file in a workspace per environment, like that of `bootstrap`.
}

provider "aws" {
  region = var.region
  default_tags {
    tags = {
      project     = var.prefix
      environment = var.environment
      stack       = "backup"
      managed_by  = "terraform"
    }
  }
}
