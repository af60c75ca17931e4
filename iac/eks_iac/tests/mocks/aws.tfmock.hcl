mock_data "aws_caller_identity" {
  defaults = { account_id = "123456789012" }
}

mock_data "aws_partition" {
  defaults = { partition = "aws" }
}

override_data {
  target = data.aws_ssm_parameter.basic["ecr_repository_url"]
  values = { insecure_value = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/people-info-qa-api" }
}

override_data {
  target = data.aws_ssm_parameter.basic["private_subnet_ids"]
  values = { insecure_value = "subnet-private-a,subnet-private-b,subnet-private-c" }
}

override_data {
  target = data.aws_ssm_parameter.basic["public_cidrs"]
  values = { insecure_value = "10.20.0.0/22,10.20.4.0/22,10.20.8.0/22" }
}

override_data {
  target = data.aws_ssm_parameter.app["cache_security_group_id"]
  values = { insecure_value = "sg-01234567890cache" }
}

override_data {
  target = data.aws_ssm_parameter.app["cache_url"]
  values = { insecure_value = "rediss://master.people-info-qa.abc123.euw1.cache.amazonaws.com:6379" }
}

override_data {
  target = data.aws_ssm_parameter.app["cache_user"]
  values = { insecure_value = "people-info-qa-service" }
}

override_data {
  target = data.aws_ssm_parameter.app["encryption_url"]
  values = { insecure_value = "aws-kms://arn:aws:kms:eu-west-1:123456789012:key/33333333-3333-3333-3333-333333333333" }
}

override_data {
  target = data.aws_ssm_parameter.app["store_url"]
  values = { insecure_value = "dynamodb://eu-west-1/people-info-qa-people" }
}

override_data {
  target = data.aws_ssm_parameter.app["task_role_arn"]
  values = { insecure_value = "arn:aws:iam::123456789012:role/people-info-qa-task" }
}

mock_resource "aws_eks_cluster" {
  defaults = { arn = "arn:aws:eks:eu-west-1:123456789012:cluster/people-info-qa" }
}

mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::123456789012:role/people-info-qa-eks" }
}

mock_resource "aws_kms_key" {
  defaults = { arn = "arn:aws:kms:eu-west-1:123456789012:key/66666666-6666-6666-6666-666666666666" }
}

override_data {
  target = data.aws_ssm_parameter.basic["service_public_ip"]
  values = { insecure_value = "false" }
}

override_data {
  target = data.aws_ssm_parameter.app["alb_logs_bucket"]
  values = { insecure_value = "people-info-qa-alb-logs-123456789012" }
}

override_data {
  target = data.aws_ssm_parameter.app["certificate_arn"]
  values = { insecure_value = "arn:aws:acm:eu-west-1:123456789012:certificate/44444444-4444-4444-4444-444444444444" }
}

override_data {
  target = data.aws_ssm_parameter.app["drain_seconds"]
  values = { insecure_value = "60" }
}

override_data {
  target = data.aws_ssm_parameter.app["web_acl_arn"]
  values = { insecure_value = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/people-info-qa/55555555-5555-5555-5555-555555555555" }
}
