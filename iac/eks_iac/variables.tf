variable "administrators" {
  description = "ARNs of the roles that may do everything in the cluster."
  type        = set(string)
  nullable    = false
}

variable "administrators_from" {
  description = "Networks from which the cluster's API is reached, as CIDR blocks; none: from within the network alone."
  type        = set(string)
  nullable    = false
  default     = []
  validation {
    condition     = alltrue([for network in var.administrators_from : can(cidrhost(network, 0)) && !endswith(network, "/0")])
    error_message = "Networks are written like 192.0.2.0/24, and the whole internet is none of yours."
  }
}

variable "deletion_protection" {
  description = "Whether the cluster refuses to be deleted."
  type        = bool
  nullable    = false
  default     = true
}

variable "encryption" {
  description = "Whether people's fields are sealed with the key of app_iac (PEOPLEINFO_ENCRYPTION). A table keeps to what it was begun with (docs/encryption.md)."
  type        = bool
  nullable    = false
  default     = true
}

variable "environment" {
  description = "The environment, which is part of every name: qa, prod, or another word of at most 10 letters and digits. Without hyphens, so that no environment's names start with those of another."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.environment))
    error_message = "The environment is a word of 2 to 10 lower-case letters and digits, such as qa."
  }
}

variable "kubernetes_version" {
  description = "The version of Kubernetes, such as 1.34."
  type        = string
  nullable    = false
  default     = "1.34"
  validation {
    condition     = can(regex("^1\\.(29|[3-9][0-9])$", var.kubernetes_version))
    error_message = "The version is written like 1.34, and is 1.29 or newer: the chart's second container needs that."
  }
}

variable "namespace" {
  description = "The namespace that the chart is installed in."
  type        = string
  nullable    = false
  default     = "people-info"
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

variable "release" {
  description = "The name of the chart's release, which its service account is named after."
  type        = string
  nullable    = false
  default     = "people"
}
