# One line a request, with its URL: a search by GET writes the surname there. `access_log_days = 0` keeps no such log; `POST /v1/people/search`
# keeps names out of URLs. The balancer can write under a key of S3's own alone.

module "alb_logs" {
  source = "../modules/secure_bucket"
  count  = var.access_log_days > 0 ? 1 : 0
  name   = "${local.name}-alb-logs-${local.account}"
  days   = { kept = var.access_log_days, replaced = 1 }
  statements = [{
    Sid       = "BalancerWrites"
    Effect    = "Allow"
    Principal = { Service = "logdelivery.elasticloadbalancing.amazonaws.com" }
    Action    = "s3:PutObject"
    Resource  = "arn:${local.partition}:s3:::${local.name}-alb-logs-${local.account}/AWSLogs/${local.account}/*"
    Condition = { ArnLike = { "aws:SourceArn" = "arn:${local.partition}:elasticloadbalancing:${var.region}:${local.account}:loadbalancer/*" } }
  }]
}
