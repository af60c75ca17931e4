# One line per request with its URL, which contains the surname of a search by GET. `access_log_days = 0` disables the log;
# `POST /v1/people/search` keeps names out of URLs. The load balancer supports S3 managed keys only.

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
