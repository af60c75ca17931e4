# Nothing in the private subnets is reached from the internet, and what passes through the network is encrypted and logged.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  environment = "qa"
  region      = "eu-west-1"
}

run "by_default" {
  # Three zones and no public address by itself.
  assert {
    condition     = length(aws_subnet.private) == 3 && length(aws_subnet.public) == 3
    error_message = "The network does not span three zones."
  }
  assert {
    condition     = alltrue([for subnet in aws_subnet.public : !subnet.map_public_ip_on_launch])
    error_message = "Whatever starts in a public subnet would get a public address."
  }
  assert {
    condition     = length(distinct(concat([for s in aws_subnet.private : s.cidr_block], [for s in aws_subnet.public : s.cidr_block]))) == 6
    error_message = "Subnets share addresses."
  }

  # Private subnets have a way out and none in.
  assert {
    condition     = alltrue([for route in aws_route.out : route.nat_gateway_id != null && route.gateway_id == null])
    error_message = "A private subnet is routed to the internet itself."
  }
  assert {
    condition     = alltrue([for letter, association in aws_route_table_association.private : association.route_table_id == aws_route_table.private[letter].id])
    error_message = "A private subnet uses another route table."
  }

  # The group that aws makes lets nobody in.
  assert {
    condition     = length(aws_default_security_group.default.ingress) == 0 && length(aws_default_security_group.default.egress) == 0
    error_message = "The network's default security group is open."
  }

  # The network is logged under the key.
  assert {
    condition     = aws_flow_log.default.traffic_type == "ALL" && aws_cloudwatch_log_group.flow.kms_key_id == module.key.arn
    error_message = "Flow logs are missing or not encrypted."
  }
}

run "endpoints_answer_the_network_alone" {
  command = plan
  variables {
    interface_endpoints = ["ecr.api", "ecr.dkr", "logs", "ssm", "kms", "secretsmanager", "sts"]
  }
  assert {
    condition     = length(aws_vpc_endpoint.interface) == 7 && length(aws_vpc_endpoint.gateway) == 2
    error_message = "An endpoint is missing."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints.cidr_ipv4 == "10.20.0.0/16" && aws_vpc_security_group_ingress_rule.endpoints.to_port == 443
    error_message = "Endpoints can be reached from elsewhere than the network."
  }
  assert {
    condition     = alltrue([for endpoint in aws_vpc_endpoint.gateway : length(endpoint.route_table_ids) == 3])
    error_message = "A zone goes to S3 or DynamoDB by the paid way."
  }
}

run "a_zone_can_be_lost_when_each_has_its_way_out" {
  variables {
    nat = "each_zone"
  }
  assert {
    condition     = length(aws_nat_gateway.default) == 3 && alltrue([for letter, route in aws_route.out : route.nat_gateway_id == aws_nat_gateway.default[letter].id])
    error_message = "A zone depends on another for its way out."
  }
}
