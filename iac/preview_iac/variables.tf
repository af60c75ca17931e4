variable "environment" {
  description = "The environment, which is part of every name: qa, prod, or another word of at most 10 letters and digits. Hyphens are not allowed, so that no name of an environment is a prefix of another one's."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.environment))
    error_message = "The environment must have 2 to 10 lower-case letters and digits, such as qa."
  }
}

variable "image" {
  description = "The image by its digest: REPOSITORY@sha256:…."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "The image must be named by its digest, so that the preview runs exactly this build."
  }
}

variable "number" {
  description = "The number of the pull request, or another unique number; it is part of every name."
  type        = number
  nullable    = false
  validation {
    condition     = var.number >= 1 && var.number < 49000 && var.number == floor(var.number)
    error_message = "The number must be an integer from 1 to 48999, because it is the priority of the load balancer's rule before the one of the service."
  }
}

variable "prefix" {
  description = "The prefix of every name."
  type        = string
  nullable    = false
  default     = "people-info"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,10}[a-z0-9]$", var.prefix))
    error_message = "The prefix must have 2 to 12 lower-case letters, digits and hyphens, because names of load balancers are limited to 32 characters."
  }
}

variable "region" {
  description = "The AWS region, such as eu-west-1."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "The region must have the form eu-west-1."
  }
}
