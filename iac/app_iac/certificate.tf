# The host name of the service and its certificate, when Route 53 hosts the zone.

resource "aws_acm_certificate" "default" {
  count             = local.in_route53 ? 1 : 0
  domain_name       = var.endpoint.domain_name
  validation_method = "DNS"
  # Previews of branches are subdomains.
  subject_alternative_names = var.previews ? ["*.${var.endpoint.domain_name}"] : []
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_record" "validation" {
  count   = local.in_route53 ? 1 : 0
  zone_id = var.endpoint.zone_id
  name    = local.proof.resource_record_name
  type    = local.proof.resource_record_type
  records = [local.proof.resource_record_value]
  ttl     = 300
}

resource "aws_acm_certificate_validation" "default" {
  count                   = local.in_route53 ? 1 : 0
  certificate_arn         = aws_acm_certificate.default[0].arn
  validation_record_fqdns = [for record in aws_route53_record.validation : record.fqdn]
}

resource "aws_route53_record" "default" {
  count   = local.in_route53 ? 1 : 0
  zone_id = var.endpoint.zone_id
  name    = var.endpoint.domain_name
  type    = "A"
  alias {
    name                   = aws_lb.default.dns_name
    zone_id                = aws_lb.default.zone_id
    evaluate_target_health = true
  }
}

locals {
  # A name and its wildcard share the validation record.
  proof           = try(tolist(aws_acm_certificate.default[0].domain_validation_options)[0], null)
  has_https       = !var.endpoint.plain_http
  in_route53      = var.endpoint.zone_id != null
  certificate_arn = local.in_route53 ? one(aws_acm_certificate_validation.default[*].certificate_arn) : var.endpoint.certificate_arn
  url             = local.has_https ? "https://${coalesce(var.endpoint.domain_name, aws_lb.default.dns_name)}" : "http://${aws_lb.default.dns_name}"
}
