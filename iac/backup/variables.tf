variable "days" {
  description = "Days after which a backup is deleted: at most the time in which an erasure has to be complete."
  type        = number
  nullable    = false
  default     = 35
  validation {
    condition     = var.days > var.locked_days
    error_message = "Backups are deleted after they are unlocked: days must be greater than locked_days."
  }
}

variable "environment" {
  description = "The environment, which is part of every name: qa, prod, or another word of at most 10 letters and digits. Hyphens are not allowed, so that no name of an environment is a prefix of another one's."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.environment))
    error_message = "The environment must have 2 to 10 lower-case letters and digits, such as qa."
  }
}

variable "locked_days" {
  description = "Retention in days during which only an administrator of the backup account can delete or replace a backup."
  type        = number
  nullable    = false
  default     = 14
  validation {
    condition     = var.locked_days >= 1
    error_message = "Backups are locked for at least one day."
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

variable "source_account" {
  description = "The id of the AWS account of the environment. Its role PREFIX-ENVIRONMENT-backup writes here."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[0-9]{12}$", var.source_account)) && var.source_account != data.aws_caller_identity.current.account_id
    error_message = "The account has 12 digits and is another one than the account of the backups."
  }
}
