variable "kms_key_arn" {
  description = "The ARN of the key that encrypts it; null takes the one that AWS keeps for tables of this account."
  type        = string
  default     = null
}

variable "name" {
  description = "The name of the table."
  type        = string
  nullable    = false
}

variable "protected" {
  description = "What is done against slips: whether the table refuses to be deleted, and for how many days it can be brought back to any point in time (0: not at all)."
  type = object({
    from_deletion = bool
    recovery_days = number
  })
  nullable = false
  validation {
    condition     = var.protected.recovery_days >= 0 && var.protected.recovery_days <= 35
    error_message = "DynamoDB can bring a table back for at most 35 days."
  }
}
