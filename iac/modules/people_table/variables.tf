variable "kms_key_arn" {
  description = "The ARN of the KMS key of the table. Null: the AWS managed key for DynamoDB."
  type        = string
  default     = null
}

variable "name" {
  description = "The name of the table."
  type        = string
  nullable    = false
}

variable "protected" {
  description = "The protection against mistakes: deletion protection, and the days of point-in-time recovery (0: off)."
  type = object({
    from_deletion = bool
    recovery_days = number
  })
  nullable = false
  validation {
    condition     = var.protected.recovery_days >= 0 && var.protected.recovery_days <= 35
    error_message = "DynamoDB supports point-in-time recovery for at most 35 days."
  }
}
