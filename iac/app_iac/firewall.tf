# What is turned away before it reaches the service.

module "firewall" {
  source              = "../modules/firewall"
  name                = local.name
  metrics_public      = var.metrics_public
  requests_per_minute = var.requests_per_minute
}

resource "aws_wafv2_web_acl_association" "default" {
  resource_arn = aws_lb.default.arn
  web_acl_arn  = module.firewall.arn
}
