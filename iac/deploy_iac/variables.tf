variable "architecture" {
  description = "The CPU architecture of tasks, X86_64 or ARM64; the image must support it."
  type        = string
  nullable    = false
  default     = "X86_64"
  validation {
    condition     = contains(["X86_64", "ARM64"], var.architecture)
    error_message = "The architecture must be X86_64 or ARM64."
  }
}

variable "collector" {
  description = "The image of the AWS OpenTelemetry collector, by version or digest, for metrics and traces (app_iac: prometheus and traces). Null: no collector."
  type        = object({ image = string })
  default     = null
  validation {
    condition     = var.collector == null || can(regex("(:v?[0-9]|@sha256:)", var.collector.image))
    error_message = "Name the collector's image by a version or a digest."
  }
}

variable "deployment" {
  description = "The deployment strategy: `rolling` (task by task) or `blue_green` (all at once; the old version is kept for `bake_minutes`)."
  type = object({
    strategy     = optional(string, "rolling")
    bake_minutes = optional(number, 5)
  })
  nullable = false
  default  = {}
  validation {
    condition     = contains(["rolling", "blue_green"], var.deployment.strategy)
    error_message = "The strategy must be rolling or blue_green."
  }
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

variable "image_version" {
  description = "The version of the image, such as 1.4.2 or 1.5.0-rc.1, or its digest (sha256:…)."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^([0-9]+\\.[0-9]+\\.[0-9]+(-[0-9A-Za-z.-]+)?|sha256:[0-9a-f]{64})$", var.image_version))
    error_message = "The version must have the form 1.4.2 or be a digest: a mutable tag such as latest cannot be rolled back."
  }
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

variable "settings" {
  description = "Additional settings of the service, by their names without PEOPLEINFO_ (settings.tf): { retention_period = \"730d\", rate_limit_shared = \"true\" }. No secrets."
  type        = map(string)
  nullable    = false
  default     = {}
  validation {
    condition     = length(setsubtract(keys(var.settings), keys(local.settable))) == 0
    error_message = "Not available here: ${join(", ", setsubtract(keys(var.settings), keys(local.settable)))}. Available: ${join(", ", keys(local.settable))}; secrets, the store, the cache and what depends on the balancer come from the stacks."
  }
  validation {
    condition     = alltrue([for name, value in var.settings : can(regex(lookup(local.settable, name, ""), value))])
    error_message = "Invalid values: ${join(", ", [for name, value in var.settings : "${name} = ${value} (${lookup(local.settable, name, "")})" if !can(regex(lookup(local.settable, name, ""), value))])}."
  }
}

variable "size" {
  description = "CPU units (1024 is one processor) and MiB of memory of a task, in a pair that Fargate offers. Null: the value of the profile of basic_iac."
  type = object({
    cpu    = optional(number)
    memory = optional(number)
  })
  nullable = false
  default  = {}
}

variable "spot" {
  description = "Whether tasks above the minimum number run on Fargate Spot, which is cheaper and can be interrupted with two minutes' notice."
  type        = bool
  nullable    = false
  default     = false
}

variable "stop_seconds" {
  description = "Seconds from SIGTERM until a task is killed; must exceed the drain time and the grace period of the service (15 + 30)."
  type        = number
  nullable    = false
  default     = 60
  validation {
    condition     = var.stop_seconds > 45 && var.stop_seconds <= 120
    error_message = "The value must exceed 45 seconds; Fargate allows at most 120."
  }
}

variable "tasks" {
  description = "The minimum and maximum number of tasks, and the target of autoscaling in requests per minute and task. Null: the value of the profile of basic_iac."
  type = object({
    least             = optional(number)
    most              = optional(number)
    requests_a_minute = optional(number)
  })
  nullable = false
  default  = {}
}
