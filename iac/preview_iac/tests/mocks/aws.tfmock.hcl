override_data {
  target = data.aws_ssm_parameter.basic["ecs_cluster_name"]
  values = { insecure_value = "people-info-qa" }
}

override_data {
  target = data.aws_ssm_parameter.basic["private_subnet_ids"]
  values = { insecure_value = "subnet-private-a,subnet-private-b,subnet-private-c" }
}

override_data {
  target = data.aws_ssm_parameter.basic["vpc_id"]
  values = { insecure_value = "vpc-0123456789abcdef0" }
}

override_data {
  target = data.aws_ssm_parameter.app["previews"]
  values = { insecure_value = "{\"admin_key_secret_arn\":\"arn:aws:secretsmanager:eu-west-1:123456789012:secret:people-info-qa/preview_admin_key-AbCdEf\",\"domain\":\"people.qa.example.org\",\"execution_role_arn\":\"arn:aws:iam::123456789012:role/people-info-qa-preview-execution\",\"listener_arn\":\"arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/people-info-qa/0123456789abcdef/0123456789abcdef\",\"security_group_id\":\"sg-0123456789preview\",\"log_group\":\"/people-info-qa/preview\",\"task_role_arn\":\"arn:aws:iam::123456789012:role/people-info-qa-preview-task\"}" }
}

mock_resource "aws_ecs_task_definition" {
  defaults = { arn = "arn:aws:ecs:eu-west-1:123456789012:task-definition/people-info-qa-preview-pr-7:1" }
}

mock_resource "aws_lb_target_group" {
  defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/people-info-qa-pr-7/0123456789abcdef" }
}
