variable "description" {
  description = "A sentence about the data that the key protects."
  type        = string
  nullable    = false
}

variable "name" {
  description = "The alias of the key without `alias/`."
  type        = string
  nullable    = false
}

variable "statements" {
  description = "Statements of the key's policy for AWS services that use the key directly."
  type        = any
  nullable    = false
  default     = []
}
