variable "cidr" {
  description = "The CIDR block of the VPC, at least a /20 (4,096 addresses)."
  type        = string
  nullable    = false
  default     = "10.20.0.0/16"
  validation {
    condition     = can(cidrhost(var.cidr, 0)) && try(tonumber(split("/", var.cidr)[1]), 32) <= 20
    error_message = "The CIDR block must have the form 10.20.0.0/16 and be at least a /20."
  }
}

variable "container_insights" {
  description = "Container Insights of the cluster: enhanced (per task and container), enabled, or disabled. Null: the value of the profile."
  type        = string
  default     = null
  validation {
    condition     = var.container_insights == null || contains(["enhanced", "enabled", "disabled"], coalesce(var.container_insights, "-"))
    error_message = "Container Insights must be enhanced, enabled or disabled."
  }
}

variable "domain_name" {
  description = "The name in Route 53 whose records, including subdomains, the workflows may change: the domain_name of app_iac. Null: none."
  type        = string
  default     = null
  validation {
    condition     = var.domain_name == null || can(regex("^([a-z0-9-]+\\.)+[a-z]+$", var.domain_name))
    error_message = "The name must have the form people.example.org, in lower case."
  }
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

variable "github" {
  description = "The repository with the workflows that may assume roles in this account, as OWNER/NAME. Set `owner_id` and `repository_id` if its tokens contain them (docs/aws.md explains how to check). Set `oidc_provider_arn` if another environment has created the OIDC provider for GitHub in this account. Null: no workflows."
  type = object({
    repository        = string
    owner_id          = optional(string)
    repository_id     = optional(string)
    oidc_provider_arn = optional(string)
  })
  default = null
  validation {
    condition     = var.github == null || can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", var.github.repository))
    error_message = "The repository must have the form OWNER/NAME, without ids and wildcards."
  }
  validation {
    condition     = var.github == null || (try(var.github.owner_id, null) == null) == (try(var.github.repository_id, null) == null)
    error_message = "Give both owner_id and repository_id, or neither."
  }
  validation {
    condition     = var.github == null || alltrue([for id in compact([try(var.github.owner_id, null), try(var.github.repository_id, null)]) : can(regex("^[0-9]+$", id))])
    error_message = "owner_id and repository_id must be numbers: gh api repos/OWNER/NAME --jq '.owner.id, .id'."
  }
}

variable "images_kept" {
  description = "Versions that the repository keeps, newest first."
  type        = number
  nullable    = false
  default     = 50
  validation {
    condition     = var.images_kept >= 5
    error_message = "Keep at least 5 versions for rollbacks."
  }
}

variable "interface_endpoints" {
  description = "AWS services with an interface endpoint in each zone, by the last part of the endpoint's name; each has an hourly price. The service uses ecr.api, ecr.dkr, logs, ssm, secretsmanager, kms and sts. Null: the value of the profile."
  type        = set(string)
  default     = null
}

variable "log_days" {
  description = "Retention of the flow logs in days."
  type        = number
  nullable    = false
  default     = 30
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_days)
    error_message = "CloudWatch supports a retention of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 … days."
  }
}

variable "nat" {
  description = "NAT gateways of the private subnets: one, each_zone, or none. With none, tasks run in public subnets with public addresses that only the load balancer reaches. Null: the value of the profile."
  type        = string
  default     = null
  validation {
    condition     = var.nat == null || contains(["none", "one", "each_zone"], coalesce(var.nat, "-"))
    error_message = "NAT must be none, one or each_zone."
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

variable "previews" {
  description = "Whether a workflow may deploy previews of branches (app_iac: previews). Not for prod."
  type        = bool
  nullable    = false
  default     = false
  validation {
    condition     = !var.previews || var.environment != "prod"
    error_message = "Previews are not allowed in prod: their workflow changes rules of the same load balancer."
  }
  validation {
    condition     = !var.previews || local.nat != "none"
    error_message = "Previews run in private subnets and need a NAT gateway: choose the profile standard."
  }
}

variable "profile" {
  description = "The size of the environment, which the later stacks read: `small` (one task, no NAT gateway, no cache, no firewall), `standard`, or `prod` (NAT gateways and endpoints in each zone, larger cache nodes and tasks). Other variables override parts of it."
  type        = string
  nullable    = false
  default     = "standard"
  validation {
    condition     = contains(["small", "standard", "prod"], var.profile)
    error_message = "The profile must be small, standard or prod."
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

variable "zones" {
  description = "The letters of three zones of the region. Append only: the position of a letter determines the addresses of its subnets."
  type        = list(string)
  nullable    = false
  default     = ["a", "b", "c"]
  validation {
    condition     = length(var.zones) == 3 && length(distinct(var.zones)) == 3 && alltrue([for letter in var.zones : can(regex("^[a-z]$", letter))])
    error_message = "The zones must be three different letters."
  }
}
