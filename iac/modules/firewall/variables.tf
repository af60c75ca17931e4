variable "metrics_public" {
  description = "Whether /metrics is let through."
  type        = bool
  nullable    = false
  default     = false
}

variable "name" {
  description = "The name of the firewall."
  type        = string
  nullable    = false
}

variable "requests_per_minute" {
  description = "Requests a minute from one address before it is turned away."
  type        = number
  nullable    = false
}
