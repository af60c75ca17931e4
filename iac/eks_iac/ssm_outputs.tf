# Values for the installation of the chart.

resource "aws_ssm_parameter" "published" {
  for_each = {
    cluster_name = aws_eks_cluster.default.name
  }
  name           = "/${local.name}/eks/${each.key}"
  type           = "String"
  insecure_value = each.value
}

output "values" {
  description = "The chart's values that follow from the stacks: `terraform output -raw values > stacks.yaml`, then `helm upgrade … --values stacks.yaml`."
  value = yamlencode({
    image = { repository = local.basic["ecr_repository_url"] }
    # An AWS load balancer sends requests to pods from its own addresses, which belong to no namespace.
    networkPolicy = { from = concat(
      [for cidr in split(",", local.basic["public_cidrs"]) : { ipBlock = { cidr = cidr } }],
      [{ namespaceSelector = { matchLabels = { "kubernetes.io/metadata.name" = "monitoring" } } }],
    ) }
    # The same certificate, firewall, log and health check as the load balancer of app_iac.
    ingress = {
      className   = "alb"
      annotations = { for name, value in local.balancer : "alb.ingress.kubernetes.io/${name}" => value if value != "none" }
    }
    settings = {
      store      = local.app["store_url"]
      cache      = local.app["cache_url"]
      cache_user = local.app["cache_user"]
      encryption = var.encryption ? local.app["encryption_url"] : ""
    }
  })
}

locals {
  balancer = {
    scheme                   = "internet-facing"
    target-type              = "ip"
    listen-ports             = jsonencode([{ HTTPS = 443 }])
    ssl-policy               = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
    certificate-arn          = local.app["certificate_arn"]
    healthcheck-path         = "/status/live"
    load-balancer-attributes = join(",", [for name, value in local.balancer_attributes : "${name}=${value}"])
    target-group-attributes  = "deregistration_delay.timeout_seconds=${local.app["drain_seconds"]},load_balancing.algorithm.type=least_outstanding_requests"
    wafv2-acl-arn            = local.app["web_acl_arn"]
  }
  balancer_attributes = merge(
    {
      "idle_timeout.timeout_seconds"                    = "60"
      "routing.http.desync_mitigation_mode"             = "strictest"
      "routing.http.drop_invalid_header_fields.enabled" = "true"
    },
    local.app["alb_logs_bucket"] == "none" ? {} : { "access_logs.s3.enabled" = "true", "access_logs.s3.bucket" = local.app["alb_logs_bucket"] },
  )
}
