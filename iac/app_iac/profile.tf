# The part of the profile of basic_iac that concerns this stack. The small profile has no firewall: the service itself limits rates and protects /metrics.

locals {
  profile = {
    small    = { cache = { node_type = "cache.t4g.micro", nodes = 0 }, balancer_zones = 2, firewall = false, tasks_wanted = 1 }
    standard = { cache = { node_type = "cache.t4g.small", nodes = 2 }, balancer_zones = 3, firewall = true, tasks_wanted = 2 }
    prod     = { cache = { node_type = "cache.m7g.large", nodes = 3 }, balancer_zones = 3, firewall = true, tasks_wanted = 2 }
  }[local.basic["profile"]]

  cache = {
    node_type = coalesce(var.cache.node_type, local.profile.cache.node_type)
    nodes     = coalesce(var.cache.nodes, local.profile.cache.nodes)
  }
  has_cache    = local.cache.nodes > 0
  tasks_wanted = coalesce(var.tasks_wanted, local.profile.tasks_wanted)
}
