variable "architecture" {
  description = "The processor that tasks run on, X86_64 or ARM64; the image has to be there for it."
  type        = string
  nullable    = false
  default     = "X86_64"
  validation {
    condition     = contains(["X86_64", "ARM64"], var.architecture)
    error_message = "The architecture is X86_64 or ARM64."
  }
}

variable "collector" {
  description = "The image of AWS's OpenTelemetry collector, by version or digest, for metrics and traces (app_iac: prometheus and traces); null runs none."
  type        = object({ image = string })
  default     = null
  validation {
    condition     = var.collector == null || can(regex("(:v?[0-9]|@sha256:)", var.collector.image))
    error_message = "Name the collector's image by a version or a digest."
  }
}

variable "deployment" {
  description = "How a new version replaces the old one: `rolling` (task by task) or `blue_green` (all at once, the old one kept for `bake_minutes`)."
  type = object({
    strategy     = optional(string, "rolling")
    bake_minutes = optional(number, 5)
  })
  nullable = false
  default  = {}
  validation {
    condition     = contains(["rolling", "blue_green"], var.deployment.strategy)
    error_message = "The strategy is rolling or blue_green."
  }
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

variable "image_version" {
  description = "The version of the image, such as 1.4.2 or 1.5.0-rc.1, or its digest (sha256:…)."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^([0-9]+\\.[0-9]+\\.[0-9]+(-[0-9A-Za-z.-]+)?|sha256:[0-9a-f]{64})$", var.image_version))
    error_message = "The version is written like 1.4.2, or is a digest: a name that moves, such as latest, cannot be gone back to."
  }
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

variable "settings" {
  description = "Settings of the service beside those that come from the stacks, by their names without PEOPLEINFO_ (settings.tf): { retention_period = \"730d\", rate_limit_shared = \"true\" }. No secrets."
  type        = map(string)
  nullable    = false
  default     = {}
  validation {
    condition     = length(setsubtract(keys(var.settings), keys(local.settable))) == 0
    error_message = "Not to be chosen here: ${join(", ", setsubtract(keys(var.settings), keys(local.settable)))}. There are ${join(", ", keys(local.settable))}; secrets, the store, the cache and what depends on the balancer come from the stacks."
  }
  validation {
    condition     = alltrue([for name, value in var.settings : can(regex(lookup(local.settable, name, ""), value))])
    error_message = "Written otherwise: ${join(", ", [for name, value in var.settings : "${name} = ${value} (${lookup(local.settable, name, "")})" if !can(regex(lookup(local.settable, name, ""), value))])}."
  }
}

variable "size" {
  description = "CPU units (1024 is one processor) and MiB of memory of a task, in a pair that Fargate offers. Not given: as the profile of basic_iac says."
  type = object({
    cpu    = optional(number)
    memory = optional(number)
  })
  nullable = false
  default  = {}
}

variable "spot" {
  description = "Whether tasks beyond the least number run on spare capacity, which is cheaper and may go at two minutes' notice."
  type        = bool
  nullable    = false
  default     = false
}

variable "stop_seconds" {
  description = "Seconds from SIGTERM until a task that has not ended is killed: longer than the service serves on and drains together (15 + 30)."
  type        = number
  nullable    = false
  default     = 60
  validation {
    condition     = var.stop_seconds > 45 && var.stop_seconds <= 120
    error_message = "A task needs more than 45 seconds to finish, and Fargate gives at most 120."
  }
}

variable "tasks" {
  description = "The least and the most tasks that run, and the requests a minute for each task that the autoscaling aims at. Not given: as the profile of basic_iac says."
  type = object({
    least             = optional(number)
    most              = optional(number)
    requests_a_minute = optional(number)
  })
  nullable = false
  default  = {}
}
