variable "access_log_days" {
  description = "Days for which the load balancer's access logs are kept; 0 writes none. They hold URLs, and so the surnames of searches by GET."
  type        = number
  nullable    = false
  default     = 30
  validation {
    condition     = var.access_log_days >= 0 && var.access_log_days == floor(var.access_log_days)
    error_message = "Access logs are kept for a whole number of days, or not written at all (0)."
  }
}

variable "alarm_emails" {
  description = "Addresses that are written to when an alarm goes off; each has to confirm a first letter."
  type        = set(string)
  nullable    = false
  default     = []
}

variable "backup" {
  description = "The account of the stack `backup`, and the ARNs of the roles or users of this account that may make backups there (docs/aws.md). Null: nobody."
  type = object({
    account   = string
    operators = list(string)
  })
  default = null
  validation {
    condition     = var.backup == null || (can(regex("^[0-9]{12}$", try(var.backup.account, ""))) && length(try(var.backup.operators, [])) > 0)
    error_message = "The account has 12 digits, and at least one operator makes backups."
  }
}

variable "budget" {
  description = "Dollars a month that this environment is expected to cost at most, and who hears of it at 80 percent; null watches nothing. It counts what carries the tag `environment`, once that is activated for cost allocation."
  type = object({
    dollars_a_month = number
    emails          = list(string)
  })
  default = null
  validation {
    condition     = var.budget == null || (try(var.budget.dollars_a_month, 1) > 0 && length(try(var.budget.emails, ["x"])) > 0)
    error_message = "A budget is more than nothing and has somebody to tell."
  }
}

variable "cache" {
  description = "The cache: the type of its nodes, and how many there are: one that writes, and its replicas in other zones; 0 for no cache. Not given: as the profile of basic_iac says."
  type = object({
    node_type = optional(string)
    nodes     = optional(number)
  })
  nullable = false
  default  = {}
  validation {
    condition     = var.cache.nodes == null || contains([0, 1, 2, 3, 4, 5, 6], coalesce(var.cache.nodes, 0))
    error_message = "The cache has 0 to 6 nodes."
  }
}

variable "clients" {
  description = "Networks whose clients may reach the load balancer, as CIDR blocks."
  type        = set(string)
  nullable    = false
  default     = ["0.0.0.0/0"]
  validation {
    condition     = alltrue([for network in var.clients : can(cidrhost(network, 0))])
    error_message = "Networks are written like 192.0.2.0/24."
  }
}

variable "deletion_protection" {
  description = "Whether the table, the load balancer and the audit log refuse to be deleted. Turn it off to tear down, never before."
  type        = bool
  nullable    = false
  default     = true
}

variable "endpoint" {
  description = "How clients reach the service: `domain_name` and `zone_id` of its zone in Route 53 (the certificate is made too), or the `certificate_arn` of one in ACM (then `domain_name` says its name), or `plain_http = true` for a trial without a certificate, in which keys and people travel in the open."
  type = object({
    certificate_arn = optional(string)
    domain_name     = optional(string)
    plain_http      = optional(bool, false)
    zone_id         = optional(string)
  })
  nullable = false
  validation {
    condition     = length([for way in [var.endpoint.certificate_arn != null, var.endpoint.zone_id != null, var.endpoint.plain_http] : way if way]) == 1
    error_message = "Choose one of zone_id, certificate_arn and plain_http."
  }
  validation {
    condition     = var.endpoint.plain_http || var.endpoint.domain_name != null
    error_message = "With HTTPS the domain_name has to be given: it stands in the certificate."
  }
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

variable "kubernetes" {
  description = "Whether pods of the cluster of eks_iac may take on the role of the service, as ECS tasks do."
  type        = bool
  nullable    = false
  default     = false
}

variable "log_days" {
  description = "Days for which the service's log and the audit events are kept."
  type = object({
    application = optional(number, 30)
    audit       = optional(number, 365)
  })
  nullable = false
  default  = {}
  validation {
    condition = alltrue([for days in values(var.log_days) :
    contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], days)])
    error_message = "CloudWatch keeps logs for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 … days."
  }
}

variable "metrics_public" {
  description = "Whether /metrics is reachable from the internet. It names no person, but tells how the service is used."
  type        = bool
  nullable    = false
  default     = false
}

variable "oidc_client_secret" {
  description = "Whether the console's client at the OpenID provider has a secret: then one is made to put it in, which has to be done before deploy_iac is applied."
  type        = bool
  nullable    = false
  default     = false
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

variable "previews" {
  description = "Whether branches may be looked at beside the environment, as pr-N.DOMAIN (preview_iac). Needs the zone in Route 53. Not for prod."
  type        = bool
  nullable    = false
  default     = false
  validation {
    condition     = !var.previews || var.endpoint.zone_id != null
    error_message = "Previews have names of their own, for which the zone in Route 53 (endpoint.zone_id) is needed."
  }
  validation {
    condition     = !var.previews || var.environment != "prod"
    error_message = "Branches are not shown beside prod: whoever shows one has rules of the same load balancer."
  }
}

variable "prometheus" {
  description = "Whether Amazon Managed Service for Prometheus is created, with the rules of `observability/prometheus`. Its alerts go to `alarm_emails`; deploy_iac needs a `collector`."
  type        = bool
  nullable    = false
  default     = false
  validation {
    condition     = !var.prometheus || length(var.alarm_emails) > 0
    error_message = "Alerts of Prometheus would reach nobody: set alarm_emails."
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

variable "requests_per_minute" {
  description = "Requests a minute from one address before it is turned away. The service's own limits are by key, not by address."
  type        = number
  nullable    = false
  default     = 6000
  validation {
    condition     = var.requests_per_minute >= 10
    error_message = "The limit is at least 10 a minute."
  }
}

variable "tasks_wanted" {
  description = "Healthy tasks below which an alarm goes off. Null: as the profile of basic_iac says."
  type        = number
  default     = null
}

variable "traces" {
  description = "Whether the task role may write traces to X-Ray, for deploy_iac's collector."
  type        = bool
  nullable    = false
  default     = false
}
