variable "days" {
  description = "Days after which an object goes (`kept`; null keeps it for ever), and days after which a version that was replaced or deleted goes (`replaced`)."
  type = object({
    kept     = optional(number)
    replaced = optional(number, 90)
  })
  nullable = false
  default  = {}
}

variable "kms_key_arn" {
  description = "The ARN of the KMS key that encrypts what is put in; null for a key of S3's own, where a writer can use no other."
  type        = string
  default     = null
}

variable "name" {
  description = "The name of the bucket, unique in all of AWS."
  type        = string
  nullable    = false
}

variable "statements" {
  description = "Statements of the bucket's policy beside those that demand TLS."
  type        = any
  nullable    = false
  default     = []
}
