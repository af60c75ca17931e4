# Allowed connections: internet to load balancer, load balancer to service, service to cache.

resource "aws_security_group" "alb" {
  name        = "${local.name}-alb"
  description = "The load balancer."
  vpc_id      = local.basic["vpc_id"]
  tags        = { Name = "${local.name}-alb" }
}

resource "aws_security_group" "service" {
  name        = "${local.name}-service"
  description = "Tasks of the service."
  vpc_id      = local.basic["vpc_id"]
  tags        = { Name = "${local.name}-service" }
}

resource "aws_security_group" "cache" {
  name        = "${local.name}-cache"
  description = "The cache."
  vpc_id      = local.basic["vpc_id"]
  tags        = { Name = "${local.name}-cache" }
}

resource "aws_vpc_security_group_ingress_rule" "alb" {
  for_each          = { for pair in setproduct(keys(local.ports), var.clients) : "${pair[0]} from ${pair[1]}" => { port = local.ports[pair[0]], cidr = pair[1] } }
  security_group_id = aws_security_group.alb.id
  description       = "Clients of the service."
  cidr_ipv4         = each.value.cidr
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
}

resource "aws_vpc_security_group_egress_rule" "alb_to_service" {
  security_group_id            = aws_security_group.alb.id
  description                  = "Requests to the service."
  referenced_security_group_id = aws_security_group.service.id
  ip_protocol                  = "tcp"
  from_port                    = local.service_port
  to_port                      = local.service_port
}

resource "aws_vpc_security_group_ingress_rule" "service_from_alb" {
  security_group_id            = aws_security_group.service.id
  description                  = "Requests from the load balancer."
  referenced_security_group_id = aws_security_group.alb.id
  ip_protocol                  = "tcp"
  from_port                    = local.service_port
  to_port                      = local.service_port
}

# DynamoDB, KMS, ECR and the OpenID provider have no fixed addresses.
#trivy:ignore:AVD-AWS-0104 Port 443 only; interface endpoints (basic_iac) keep most of it within the VPC.
resource "aws_vpc_security_group_egress_rule" "service_to_https" {
  security_group_id = aws_security_group.service.id
  description       = "HTTPS to AWS and to the OpenID provider."
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "service_to_cache" {
  security_group_id            = aws_security_group.service.id
  description                  = "The cache."
  referenced_security_group_id = aws_security_group.cache.id
  ip_protocol                  = "tcp"
  from_port                    = local.cache_port
  to_port                      = local.cache_port
}

resource "aws_vpc_security_group_ingress_rule" "cache_from_service" {
  security_group_id            = aws_security_group.cache.id
  description                  = "Only the service."
  referenced_security_group_id = aws_security_group.service.id
  ip_protocol                  = "tcp"
  from_port                    = local.cache_port
  to_port                      = local.cache_port
}

locals {
  ports        = local.has_https ? { http = 80, https = 443 } : { http = 80 }
  service_port = 3000
  cache_port   = 6379
}
