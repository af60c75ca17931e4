# The sizes of an environment. Later stacks read the name of the profile and define their own part of it.

locals {
  profile = {
    small    = { nat = "none", container_insights = "disabled", interface_endpoints = toset([]) }
    standard = { nat = "one", container_insights = "enabled", interface_endpoints = toset([]) }
    prod     = { nat = "each_zone", container_insights = "enhanced", interface_endpoints = toset(["ecr.api", "ecr.dkr", "kms", "logs", "secretsmanager"]) }
  }[var.profile]

  nat                 = coalesce(var.nat, local.profile.nat)
  container_insights  = coalesce(var.container_insights, local.profile.container_insights)
  interface_endpoints = var.interface_endpoints == null ? local.profile.interface_endpoints : var.interface_endpoints
}
