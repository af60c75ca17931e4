override_data {
  target = data.aws_ssm_parameter.basic["ecr_repository_url"]
  values = { insecure_value = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/people-info-qa-api" }
}

override_data {
  target = data.aws_ssm_parameter.basic["ecs_cluster_name"]
  values = { insecure_value = "people-info-qa" }
}

override_data {
  target = data.aws_ssm_parameter.basic["profile"]
  values = { insecure_value = "standard" }
}

override_data {
  target = data.aws_ssm_parameter.basic["service_public_ip"]
  values = { insecure_value = "false" }
}

override_data {
  target = data.aws_ssm_parameter.app["web_acl_arn"]
  values = { insecure_value = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/people-info-qa/55555555-5555-5555-5555-555555555555" }
}

override_data {
  target = data.aws_ssm_parameter.basic["service_subnet_ids"]
  values = { insecure_value = "subnet-private-a,subnet-private-b,subnet-private-c" }
}

override_data {
  target = data.aws_ssm_parameter.app["admin_key_secret_arn"]
  values = { insecure_value = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:people-info-qa/admin_key-AbCdEf" }
}

override_data {
  target = data.aws_ssm_parameter.app["alb_request_count_label"]
  values = { insecure_value = "app/people-info-qa/0123456789abcdef/targetgroup/people-info-qa-blue/0123456789abcdef" }
}

override_data {
  target = data.aws_ssm_parameter.app["application_log_group"]
  values = { insecure_value = "/people-info-qa/application" }
}

override_data {
  target = data.aws_ssm_parameter.app["audit_log_group"]
  values = { insecure_value = "/people-info-qa/audit" }
}

override_data {
  target = data.aws_ssm_parameter.app["blue_green_role_arn"]
  values = { insecure_value = "arn:aws:iam::123456789012:role/people-info-qa-blue-green" }
}

override_data {
  target = data.aws_ssm_parameter.app["cache_password_secret_arn"]
  values = { insecure_value = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:people-info-qa/cache_password-AbCdEf" }
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
  target = data.aws_ssm_parameter.app["drain_seconds"]
  values = { insecure_value = "60" }
}

override_data {
  target = data.aws_ssm_parameter.app["encryption_url"]
  values = { insecure_value = "aws-kms://arn:aws:kms:eu-west-1:123456789012:key/33333333-3333-3333-3333-333333333333" }
}

override_data {
  target = data.aws_ssm_parameter.app["execution_role_arn"]
  values = { insecure_value = "arn:aws:iam::123456789012:role/people-info-qa-execution" }
}

override_data {
  target = data.aws_ssm_parameter.app["listener_rule_arn"]
  values = { insecure_value = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener-rule/app/people-info-qa/0123456789abcdef/0123456789abcdef/0123456789abcdef" }
}

override_data {
  target = data.aws_ssm_parameter.app["oidc_client_secret_arn"]
  values = { insecure_value = "none" }
}

override_data {
  target = data.aws_ssm_parameter.app["prometheus_url"]
  values = { insecure_value = "none" }
}

override_data {
  target = data.aws_ssm_parameter.app["service_security_group_id"]
  values = { insecure_value = "sg-0123456789service" }
}

override_data {
  target = data.aws_ssm_parameter.app["store_url"]
  values = { insecure_value = "dynamodb://eu-west-1/people-info-qa-people" }
}

override_data {
  target = data.aws_ssm_parameter.app["target_group_blue_arn"]
  values = { insecure_value = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/people-info-qa-blue/0123456789abcdef" }
}

override_data {
  target = data.aws_ssm_parameter.app["target_group_green_arn"]
  values = { insecure_value = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/people-info-qa-green/0123456789abcdef" }
}

override_data {
  target = data.aws_ssm_parameter.app["task_role_arn"]
  values = { insecure_value = "arn:aws:iam::123456789012:role/people-info-qa-task" }
}

mock_resource "aws_ecs_task_definition" {
  defaults = { arn = "arn:aws:ecs:eu-west-1:123456789012:task-definition/people-info-qa-api:1" }
}

override_data {
  target = data.aws_ssm_parameter.app["deployment_alarms"]
  values = { insecure_value = "people-info-qa-errors,people-info-qa-unreachable" }
}
