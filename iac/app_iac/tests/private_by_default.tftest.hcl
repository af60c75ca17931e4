# Network access: the internet reaches only the two ports of the load balancer.

mock_provider "aws" {
  source = "./tests/mocks"
}

# It has separate tests, and its plan takes longer than all others.
override_module {
  target  = module.firewall
  outputs = { arn = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/people-info-qa/55555555-5555-5555-5555-555555555555" }
}

variables {
  environment = "qa"
  region      = "eu-west-1"
  endpoint    = { domain_name = "people.example.org", zone_id = "Z0123456789EXAMPLE" }
}

run "by_default" {
  # The internet reaches two ports of the load balancer.
  assert {
    condition     = toset([for rule in aws_vpc_security_group_ingress_rule.alb : rule.from_port]) == toset([80, 443]) && alltrue([for rule in aws_vpc_security_group_ingress_rule.alb : rule.from_port == rule.to_port])
    error_message = "The load balancer is open on ports other than 80 and 443."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.service_from_alb.cidr_ipv4 == null && aws_vpc_security_group_ingress_rule.service_from_alb.referenced_security_group_id == aws_security_group.alb.id && aws_vpc_security_group_ingress_rule.service_from_alb.to_port == 3000
    error_message = "The service is reachable without the load balancer."
  }

  # Only the service reaches the cache.
  assert {
    condition     = aws_vpc_security_group_ingress_rule.cache_from_service.cidr_ipv4 == null && aws_vpc_security_group_ingress_rule.cache_from_service.cidr_ipv6 == null && aws_vpc_security_group_ingress_rule.cache_from_service.referenced_security_group_id == aws_security_group.service.id
    error_message = "The cache is reachable by others than the service."
  }
  assert {
    condition     = toset(aws_elasticache_subnet_group.default[0].subnet_ids) == toset(["subnet-private-a", "subnet-private-b", "subnet-private-c"])
    error_message = "The cache is not in the private subnets."
  }
  assert {
    condition     = aws_elasticache_replication_group.default[0].security_group_ids == toset([aws_security_group.cache.id])
    error_message = "The cache does not have its security group."
  }

  # Port 80 only redirects to 443.
  assert {
    condition     = one(aws_lb_listener.http.default_action).type == "redirect" && one(one(aws_lb_listener.http.default_action).redirect).protocol == "HTTPS"
    error_message = "Port 80 does not redirect to HTTPS."
  }
  assert {
    condition     = one(aws_lb_listener.https[*].ssl_policy) == "ELBSecurityPolicy-TLS13-1-2-Res-2021-06" && aws_lb_listener_rule.service.listener_arn == one(aws_lb_listener.https[*].arn)
    error_message = "HTTPS accepts older versions of TLS, or does not forward to the service."
  }

  # The firewall protects the load balancer.
  assert {
    condition     = aws_wafv2_web_acl_association.default[0].resource_arn == aws_lb.default.arn && aws_wafv2_web_acl_association.default[0].web_acl_arn == module.firewall[0].arn
    error_message = "The firewall is not associated with the load balancer."
  }
}

run "previews_stand_apart_under_names_of_their_own" {
  variables {
    previews = true
  }
  assert {
    condition     = jsondecode(aws_ssm_parameter.published["previews"].insecure_value).security_group_id == aws_security_group.preview[0].id && aws_vpc_security_group_ingress_rule.cache_from_service.referenced_security_group_id != aws_security_group.preview[0].id
    error_message = "A preview reaches the cache of the environment."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.preview_from_alb[0].referenced_security_group_id == aws_security_group.alb.id && aws_vpc_security_group_egress_rule.alb_to_preview[0].referenced_security_group_id == aws_security_group.preview[0].id && aws_vpc_security_group_egress_rule.preview_to_https[0].to_port == 443
    error_message = "The load balancer does not reach previews, or other sources do."
  }
  assert {
    condition     = toset(aws_acm_certificate.default[0].subject_alternative_names) == toset(["*.people.example.org"]) && aws_route53_record.previews[0].name == "*.people.example.org"
    error_message = "Previews have no host name, or no certificate for it."
  }
}

run "a_trial_without_a_certificate_says_so" {
  command = plan
  variables {
    endpoint = { plain_http = true }
  }
  assert {
    condition     = length(aws_lb_listener.https) == 0 && aws_lb_listener_rule.service.listener_arn == aws_lb_listener.http.arn && [for rule in aws_vpc_security_group_ingress_rule.alb : rule.from_port] == [80]
    error_message = "The trial does not serve on port 80, or opens the unused port 443."
  }
}

run "nobody_serves_in_the_open_by_mistake" {
  command = plan
  variables {
    endpoint = {}
  }
  expect_failures = [var.endpoint]
}
