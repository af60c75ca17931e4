variable "days" {
  description = "Days until an object expires (`kept`; null: never), and days until a replaced or deleted version expires (`replaced`)."
  type = object({
    kept     = optional(number)
    replaced = optional(number, 90)
  })
  nullable = false
  default  = {}
}

variable "kms_key_arn" {
  description = "The ARN of the KMS key of the bucket. Null: S3 managed keys, for writers that support no others."
  type        = string
  default     = null
}

variable "name" {
  description = "The name of the bucket, unique in all of AWS."
  type        = string
  nullable    = false
}

variable "statements" {
  description = "Additional statements of the bucket's policy."
  type        = any
  nullable    = false
  default     = []
}
