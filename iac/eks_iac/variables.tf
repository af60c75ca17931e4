variable "administrators" {
  description = "ARNs of the roles that administer the cluster."
  type        = set(string)
  nullable    = false
}

variable "administrators_from" {
  description = "CIDR blocks with access to the cluster's API. Empty: only from within the VPC."
  type        = set(string)
  nullable    = false
  default     = []
  validation {
    condition     = alltrue([for network in var.administrators_from : can(cidrhost(network, 0)) && !endswith(network, "/0")])
    error_message = "Networks must have the form 192.0.2.0/24; the whole internet is not allowed."
  }
}

variable "deletion_protection" {
  description = "Whether the cluster is protected against deletion."
  type        = bool
  nullable    = false
  default     = true
}

variable "encryption" {
  description = "Whether records are encrypted with the key of app_iac (PEOPLEINFO_ENCRYPTION). An existing table cannot change it (docs/encryption.md)."
  type        = bool
  nullable    = false
  default     = true
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

variable "kubernetes_version" {
  description = "The Kubernetes version, such as 1.34."
  type        = string
  nullable    = false
  default     = "1.34"
  validation {
    condition     = can(regex("^1\\.(29|[3-9][0-9])$", var.kubernetes_version))
    error_message = "The version must have the form 1.34 and be 1.29 or newer, because the chart uses a sidecar container."
  }
}

variable "namespace" {
  description = "The namespace of the chart."
  type        = string
  nullable    = false
  default     = "people-info"
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

variable "release" {
  description = "The release name of the chart, which is also the name of its service account."
  type        = string
  nullable    = false
  default     = "people"
}
