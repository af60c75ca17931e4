# The part of the profile of basic_iac that concerns this stack.

locals {
  profile = {
    small    = { size = { cpu = 256, memory = 512 }, tasks = { least = 1, most = 2, requests_a_minute = 6000 } }
    standard = { size = { cpu = 512, memory = 1024 }, tasks = { least = 2, most = 10, requests_a_minute = 12000 } }
    prod     = { size = { cpu = 1024, memory = 2048 }, tasks = { least = 3, most = 30, requests_a_minute = 24000 } }
  }[local.basic["profile"]]

  size  = { for name, value in local.profile.size : name => coalesce(var.size[name], value) }
  tasks = { for name, value in local.profile.tasks : name => coalesce(var.tasks[name], value) }
}
