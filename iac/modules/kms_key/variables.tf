variable "description" {
  description = "What the key protects, in a sentence."
  type        = string
  nullable    = false
}

variable "name" {
  description = "The name under which the key is known: its alias without `alias/`."
  type        = string
  nullable    = false
}

variable "statements" {
  description = "Statements of the key's policy for services of AWS that use it by themselves."
  type        = any
  nullable    = false
  default     = []
}
