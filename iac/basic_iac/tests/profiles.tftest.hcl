# Each profile has the NAT gateways, endpoints and subnets of the cost table.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  environment = "qa"
  region      = "eu-west-1"
}

run "small" {
  variables {
    profile = "small"
  }
  assert {
    condition     = length(aws_nat_gateway.default) == 0 && length(aws_eip.nat) == 0 && length(aws_route.out) == 0 && length(aws_vpc_endpoint.interface) == 0
    error_message = "The small profile pays for a NAT gateway or an endpoint."
  }
  assert {
    condition     = aws_ssm_parameter.published["service_public_ip"].insecure_value == "true" && aws_ssm_parameter.published["service_subnet_ids"].insecure_value == aws_ssm_parameter.published["public_subnet_ids"].insecure_value
    error_message = "Tasks of the small profile cannot reach AWS: without a NAT gateway they need public addresses."
  }
  assert {
    condition     = length(aws_vpc_endpoint.gateway) == 2 && aws_ssm_parameter.published["profile"].insecure_value == "small"
    error_message = "The free endpoints are missing, or later stacks read another profile."
  }
}

run "standard" {
  variables {
    profile = "standard"
  }
  assert {
    condition     = length(aws_nat_gateway.default) == 1 && length(aws_route.out) == 3
    error_message = "The standard profile must have one NAT gateway."
  }
  assert {
    condition     = aws_ssm_parameter.published["service_public_ip"].insecure_value == "false" && aws_ssm_parameter.published["service_subnet_ids"].insecure_value == aws_ssm_parameter.published["private_subnet_ids"].insecure_value
    error_message = "Tasks run in public subnets."
  }
}

run "prod" {
  variables {
    profile = "prod"
  }
  assert {
    condition     = length(aws_nat_gateway.default) == 3 && length(aws_vpc_endpoint.interface) == 5
    error_message = "A zone of prod depends on another one, or requests for secrets and images leave the VPC."
  }
}

run "unknown_profile_is_refused" {
  command = plan
  variables {
    profile = "tiny"
  }
  expect_failures = [var.profile]
}

run "previews_without_a_nat_gateway_are_refused" {
  command = plan
  variables {
    profile  = "small"
    previews = true
  }
  expect_failures = [var.previews]
}
