# Requests that are blocked before they reach the service.

module "firewall" {
  source              = "../modules/firewall"
  count               = local.profile.firewall ? 1 : 0
  name                = local.name
  metrics_public      = var.metrics_public
  requests_per_minute = var.requests_per_minute
}

resource "aws_wafv2_web_acl_association" "default" {
  count        = local.profile.firewall ? 1 : 0
  resource_arn = aws_lb.default.arn
  web_acl_arn  = module.firewall[0].arn
}
