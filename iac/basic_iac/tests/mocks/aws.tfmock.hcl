mock_data "aws_caller_identity" {
  defaults = { account_id = "123456789012" }
}

mock_data "aws_partition" {
  defaults = { partition = "aws" }
}

override_data {
  target = data.aws_ssm_parameter.bootstrap["state_key_arn"]
  values = { insecure_value = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000" }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:/people-info-qa/flow" }
}

mock_resource "aws_ecr_repository" {
  defaults = {
    arn            = "arn:aws:ecr:eu-west-1:123456789012:repository/people-info-qa-api"
    repository_url = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/people-info-qa-api"
  }
}

mock_resource "aws_iam_openid_connect_provider" {
  defaults = { arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
}

mock_resource "aws_iam_policy" {
  defaults = { arn = "arn:aws:iam::123456789012:policy/people-info-qa-boundary" }
}

mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::123456789012:role/people-info-qa-role" }
}

mock_resource "aws_kms_key" {
  defaults = { arn = "arn:aws:kms:eu-west-1:123456789012:key/11111111-1111-1111-1111-111111111111" }
}

override_resource {
  target = aws_iam_policy.workflow["plan-read"]
  values = { arn = "arn:aws:iam::123456789012:policy/people-info-qa-workflow-plan-read" }
}

override_resource {
  target = aws_iam_policy.workflow["infrastructure-network"]
  values = { arn = "arn:aws:iam::123456789012:policy/people-info-qa-workflow-infrastructure-network" }
}

override_resource {
  target = aws_iam_policy.workflow["infrastructure-service"]
  values = { arn = "arn:aws:iam::123456789012:policy/people-info-qa-workflow-infrastructure-service" }
}
