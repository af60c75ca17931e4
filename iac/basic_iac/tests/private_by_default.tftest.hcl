# The private subnets are not reachable from the internet, and flow logs are encrypted.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  environment = "qa"
  region      = "eu-west-1"
}

run "by_default" {
  # Three zones without automatic public addresses.
  assert {
    condition     = length(aws_subnet.private) == 3 && length(aws_subnet.public) == 3
    error_message = "The network does not span three zones."
  }
  assert {
    condition     = alltrue([for subnet in aws_subnet.public : !subnet.map_public_ip_on_launch])
    error_message = "Resources in a public subnet would get a public address automatically."
  }
  assert {
    condition     = length(distinct(concat([for s in aws_subnet.private : s.cidr_block], [for s in aws_subnet.public : s.cidr_block]))) == 6
    error_message = "Subnets overlap."
  }

  # Private subnets have outbound access only.
  assert {
    condition     = alltrue([for route in aws_route.out : route.nat_gateway_id != null && route.gateway_id == null])
    error_message = "A private subnet has a route to the internet gateway."
  }
  assert {
    condition     = alltrue([for letter, association in aws_route_table_association.private : association.route_table_id == aws_route_table.private[letter].id])
    error_message = "A private subnet uses another route table."
  }

  # The default security group allows no traffic.
  assert {
    condition     = length(aws_default_security_group.default.ingress) == 0 && length(aws_default_security_group.default.egress) == 0
    error_message = "The default security group of the VPC allows traffic."
  }

  # Flow logs are encrypted with the key.
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
    error_message = "Endpoints are reachable from outside the VPC."
  }
  assert {
    condition     = alltrue([for endpoint in aws_vpc_endpoint.gateway : length(endpoint.route_table_ids) == 3])
    error_message = "A zone reaches S3 or DynamoDB through the NAT gateway."
  }
}

run "a_zone_can_be_lost_when_each_has_its_way_out" {
  variables {
    nat = "each_zone"
  }
  assert {
    condition     = length(aws_nat_gateway.default) == 3 && alltrue([for letter, route in aws_route.out : route.nat_gateway_id == aws_nat_gateway.default[letter].id])
    error_message = "A zone depends on the NAT gateway of another one."
  }
}
