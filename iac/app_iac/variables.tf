variable "access_log_days" {
  description = "Retention of the load balancer's access logs in days; 0 disables them. They contain URLs, and thereby the surnames of searches by GET."
  type        = number
  nullable    = false
  default     = 30
  validation {
    condition     = var.access_log_days >= 0 && var.access_log_days == floor(var.access_log_days)
    error_message = "The retention of access logs must be a whole number of days, or 0 for none."
  }
}

variable "alarm_emails" {
  description = "E-mail addresses for alarms. Each recipient must confirm the subscription e-mail."
  type        = set(string)
  nullable    = false
  default     = []
}

variable "backup" {
  description = "The account of the stack `backup`, and the ARNs of the roles or users of this account that may back up there (docs/aws.md). Null: none."
  type = object({
    account   = string
    operators = list(string)
  })
  default = null
  validation {
    condition     = var.backup == null || (can(regex("^[0-9]{12}$", try(var.backup.account, ""))) && length(try(var.backup.operators, [])) > 0)
    error_message = "The account must have 12 digits, and at least one operator is required."
  }
}

variable "budget" {
  description = "The budget of this environment in dollars per month, and the e-mail addresses that are notified at 80 percent. Null: no budget. It covers resources with the tag `environment`, after the tag is activated for cost allocation."
  type = object({
    dollars_a_month = number
    emails          = list(string)
  })
  default = null
  validation {
    condition     = var.budget == null || (try(var.budget.dollars_a_month, 1) > 0 && length(try(var.budget.emails, ["x"])) > 0)
    error_message = "A budget must be positive and have at least one recipient."
  }
}

variable "cache" {
  description = "The cache: the type and the number of its nodes, a primary and replicas in other zones; 0 for no cache. Null: the value of the profile of basic_iac."
  type = object({
    node_type = optional(string)
    nodes     = optional(number)
  })
  nullable = false
  default  = {}
  validation {
    condition     = var.cache.nodes == null || contains([0, 1, 2, 3, 4, 5, 6], coalesce(var.cache.nodes, 0))
    error_message = "The cache must have 0 to 6 nodes."
  }
}

variable "clients" {
  description = "CIDR blocks of the clients that may reach the load balancer."
  type        = set(string)
  nullable    = false
  default     = ["0.0.0.0/0"]
  validation {
    condition     = alltrue([for network in var.clients : can(cidrhost(network, 0))])
    error_message = "Networks must have the form 192.0.2.0/24."
  }
}

variable "deletion_protection" {
  description = "Whether the table, the load balancer and the audit log are protected against deletion. Disable it only before `destroy`."
  type        = bool
  nullable    = false
  default     = true
}

variable "endpoint" {
  description = "The endpoint of the service: `domain_name` and `zone_id` of its zone in Route 53 (the stack creates the certificate), or the `certificate_arn` of a certificate in ACM and its `domain_name`, or `plain_http = true` for a trial without a certificate, in which keys and records are sent unencrypted."
  type = object({
    certificate_arn = optional(string)
    domain_name     = optional(string)
    plain_http      = optional(bool, false)
    zone_id         = optional(string)
  })
  nullable = false
  validation {
    condition     = length([for way in [var.endpoint.certificate_arn != null, var.endpoint.zone_id != null, var.endpoint.plain_http] : way if way]) == 1
    error_message = "Set exactly one of zone_id, certificate_arn and plain_http."
  }
  validation {
    condition     = var.endpoint.plain_http || var.endpoint.domain_name != null
    error_message = "HTTPS requires the domain_name of the certificate."
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

variable "kubernetes" {
  description = "Whether pods of the cluster of eks_iac may assume the role of the service, as ECS tasks do."
  type        = bool
  nullable    = false
  default     = false
}

variable "log_days" {
  description = "Retention of the application log and of the audit events in days."
  type = object({
    application = optional(number, 30)
    audit       = optional(number, 365)
  })
  nullable = false
  default  = {}
  validation {
    condition = alltrue([for days in values(var.log_days) :
    contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], days)])
    error_message = "CloudWatch supports a retention of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 … days."
  }
}

variable "metrics_public" {
  description = "Whether /metrics is reachable from the internet. It contains no personal data, but discloses the usage of the service."
  type        = bool
  nullable    = false
  default     = false
}

variable "oidc_client_secret" {
  description = "Whether the console has a client secret at the OpenID provider. If so, the stack creates a secret, whose value must be set before deploy_iac is applied."
  type        = bool
  nullable    = false
  default     = false
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
  description = "Whether previews of branches may run at pr-N.DOMAIN (preview_iac). Requires the zone in Route 53. Not for prod."
  type        = bool
  nullable    = false
  default     = false
  validation {
    condition     = !var.previews || var.endpoint.zone_id != null
    error_message = "Previews have their own host names, which require the zone in Route 53 (endpoint.zone_id)."
  }
  validation {
    condition     = !var.previews || var.environment != "prod"
    error_message = "Previews are not allowed in prod: their workflow changes rules of the same load balancer."
  }
}

variable "prometheus" {
  description = "Whether Amazon Managed Service for Prometheus is created, with the rules of `observability/prometheus`. Its alerts go to `alarm_emails`; deploy_iac needs a `collector`."
  type        = bool
  nullable    = false
  default     = false
  validation {
    condition     = !var.prometheus || length(var.alarm_emails) > 0
    error_message = "Prometheus alerts have no recipient: set alarm_emails."
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

variable "requests_per_minute" {
  description = "Requests per minute from one address before it is blocked. The service's own limits are by key, not by address."
  type        = number
  nullable    = false
  default     = 6000
  validation {
    condition     = var.requests_per_minute >= 10
    error_message = "The limit must be at least 10 per minute."
  }
}

variable "tasks_wanted" {
  description = "The number of healthy tasks below which an alarm fires. Null: the value of the profile of basic_iac."
  type        = number
  default     = null
}

variable "traces" {
  description = "Whether the task role may write traces to X-Ray, for deploy_iac's collector."
  type        = bool
  nullable    = false
  default     = false
}
