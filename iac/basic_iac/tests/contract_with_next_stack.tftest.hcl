# Names that other stacks use: a change here is a change of the contract (iac/README.md).

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  environment = "qa"
  region      = "eu-west-1"
  # tests/iac/test_rights.py and test_derived_rights.py simulate these roles.
  github      = { repository = "example/people-info", owner_id = "4242", repository_id = "6464" }
  domain_name = "people.qa.example.org"
  previews    = true
}

run "by_default" {
  # All parameters are published under their names.
  assert {
    condition = toset([for parameter in aws_ssm_parameter.published : parameter.name]) == toset([
      "/people-info-qa/basic/boundary_arn",
      "/people-info-qa/basic/ecr_repository_arn",
      "/people-info-qa/basic/ecr_repository_url",
      "/people-info-qa/basic/ecs_cluster_name",
      "/people-info-qa/basic/private_subnet_ids",
      "/people-info-qa/basic/profile",
      "/people-info-qa/basic/public_cidrs",
      "/people-info-qa/basic/public_subnet_ids",
      "/people-info-qa/basic/service_public_ip",
      "/people-info-qa/basic/service_subnet_ids",
      "/people-info-qa/basic/vpc_cidr",
      "/people-info-qa/basic/vpc_id",
    ])
    error_message = "The published parameters differ from those that the next stacks read."
  }
  assert {
    condition     = aws_ssm_parameter.published["private_subnet_ids"].insecure_value == join(",", [for letter in ["a", "b", "c"] : aws_subnet.private[letter].id])
    error_message = "The published private subnets are wrong."
  }

  # Names are stable.
  assert {
    condition     = aws_ecr_repository.default.name == "people-info-qa-api" && aws_ecs_cluster.default.name == "people-info-qa"
    error_message = "The repository or the cluster has another name, so it would be replaced."
  }
}

# tests/iac/test_stacks.py checks this plan.
run "applied_again_it_changes_nothing" {
  command = plan
}
