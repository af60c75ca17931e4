variable "environment" {
  description = "The environment, which is part of every name: qa, prod, or another word of at most 10 letters and digits. Without hyphens, so that no environment's names start with those of another."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.environment))
    error_message = "The environment is a word of 2 to 10 lower-case letters and digits, such as qa."
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
