variable "metrics_public" {
  description = "Whether /metrics is reachable from the internet."
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
  description = "Requests per minute from one address before it is blocked."
  type        = number
  nullable    = false
}
