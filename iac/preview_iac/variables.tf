variable "environment" {
  description = "The environment, which is part of every name: qa, prod, or another word of at most 10 letters and digits. Without hyphens, so that no environment's names start with those of another."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.environment))
    error_message = "The environment is a word of 2 to 10 lower-case letters and digits, such as qa."
  }
}

variable "image" {
  description = "The image by its digest: REPOSITORY@sha256:…."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "The image is named by its digest: what is looked at is what was built."
  }
}

variable "number" {
  description = "The number of the pull request, or another one, which is part of every name."
  type        = number
  nullable    = false
  validation {
    condition     = var.number >= 1 && var.number < 49000 && var.number == floor(var.number)
    error_message = "The number is whole, from 1 to 48999: rules of the balancer are in its order, and the service's own comes last."
  }
}

variable "prefix" {
  description = "The word with which every name begins."
  type        = string
  nullable    = false
  default     = "people-info"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,10}[a-z0-9]$", var.prefix))
    error_message = "The prefix is a word of 2 to 12 lower-case letters, digits and hyphens: names of load balancers have 32 characters."
  }
}

variable "region" {
  description = "The region of AWS, such as eu-west-1."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "The region is written like eu-west-1."
  }
}
