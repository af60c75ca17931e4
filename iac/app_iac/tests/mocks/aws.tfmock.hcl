mock_data "aws_caller_identity" {
  defaults = { account_id = "123456789012" }
}

mock_data "aws_partition" {
  defaults = { partition = "aws" }
}

override_data {
  target = data.aws_ssm_parameter.basic["boundary_arn"]
  values = { insecure_value = "arn:aws:iam::123456789012:policy/people-info-qa-boundary" }
}

override_data {
  target = data.aws_ssm_parameter.basic["ecr_repository_arn"]
  values = { insecure_value = "arn:aws:ecr:eu-west-1:123456789012:repository/people-info-qa-api" }
}

override_data {
  target = data.aws_ssm_parameter.basic["ecs_cluster_name"]
  values = { insecure_value = "people-info-qa" }
}

override_data {
  target = data.aws_ssm_parameter.basic["private_subnet_ids"]
  values = { insecure_value = "subnet-private-a,subnet-private-b,subnet-private-c" }
}

override_data {
  target = data.aws_ssm_parameter.basic["profile"]
  values = { insecure_value = "standard" }
}

override_data {
  target = data.aws_ssm_parameter.basic["public_subnet_ids"]
  values = { insecure_value = "subnet-public-a,subnet-public-b,subnet-public-c" }
}

override_data {
  target = data.aws_ssm_parameter.basic["vpc_id"]
  values = { insecure_value = "vpc-0123456789abcdef0" }
}

# Each key has its own ARN, so that tests can distinguish them.
override_resource {
  target = module.people_key.aws_kms_key.default
  values = { arn = "arn:aws:kms:eu-west-1:123456789012:key/22222222-2222-2222-2222-222222222222" }
}

override_resource {
  target = module.sealing_key.aws_kms_key.default
  values = { arn = "arn:aws:kms:eu-west-1:123456789012:key/33333333-3333-3333-3333-333333333333" }
}

override_resource {
  target = aws_dynamodb_table.keys
  values = { arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/people-info-qa-people-keys" }
}

override_resource {
  target = aws_lb_target_group.default["green"]
  values = {
    arn        = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/people-info-qa-green/0123456789abcdef"
    arn_suffix = "targetgroup/people-info-qa-green/0123456789abcdef"
  }
}

mock_resource "aws_acm_certificate" {
  defaults = {
    arn = "arn:aws:acm:eu-west-1:123456789012:certificate/44444444-4444-4444-4444-444444444444"
    domain_validation_options = [{
      domain_name           = "people.example.org"
      resource_record_name  = "_x.people.example.org"
      resource_record_type  = "CNAME"
      resource_record_value = "_y.acm-validations.aws"
    }]
  }
}

mock_resource "aws_cloudformation_stack" {
  defaults = { outputs = { PasswordArn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:people-info-qa/cache_password-AbCdEf" } }
}

mock_resource "aws_dynamodb_table" {
  defaults = { arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/people-info-qa-people" }
}

mock_resource "aws_ecr_repository" {
  defaults = {
    arn            = "arn:aws:ecr:eu-west-1:123456789012:repository/people-info-qa-preview"
    repository_url = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/people-info-qa-preview"
  }
}

mock_resource "aws_elasticache_replication_group" {
  defaults = { primary_endpoint_address = "master.people-info-qa.abc123.euw1.cache.amazonaws.com" }
}

mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::123456789012:role/people-info-qa-role" }
}

mock_resource "aws_lb" {
  defaults = {
    arn        = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/people-info-qa/0123456789abcdef"
    arn_suffix = "app/people-info-qa/0123456789abcdef"
    dns_name   = "people-info-qa-1.eu-west-1.elb.amazonaws.com"
    zone_id    = "Z0123456789BALANCER"
  }
}

mock_resource "aws_lb_listener" {
  defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/people-info-qa/0123456789abcdef/0123456789abcdef" }
}

mock_resource "aws_lb_listener_rule" {
  defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener-rule/app/people-info-qa/0123456789abcdef/0123456789abcdef/0123456789abcdef" }
}

mock_resource "aws_lb_target_group" {
  defaults = {
    arn        = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/people-info-qa-blue/0123456789abcdef"
    arn_suffix = "targetgroup/people-info-qa-blue/0123456789abcdef"
  }
}

mock_resource "aws_prometheus_workspace" {
  defaults = {
    arn                 = "arn:aws:aps:eu-west-1:123456789012:workspace/ws-0123"
    prometheus_endpoint = "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-0123/"
  }
}

mock_resource "aws_s3_bucket" {
  defaults = { arn = "arn:aws:s3:::people-info-qa-alb-logs-123456789012" }
}

mock_resource "aws_secretsmanager_secret" {
  defaults = { arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:people-info-qa/admin_key-AbCdEf" }
}

mock_resource "aws_sns_topic" {
  defaults = { arn = "arn:aws:sns:eu-west-1:123456789012:people-info-qa-alarms" }
}
