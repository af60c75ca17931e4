# Parameters of `basic_iac` and `app_iac`.

data "aws_ssm_parameter" "basic" {
  for_each = toset(["ecr_repository_url", "ecs_cluster_name", "profile", "service_public_ip", "service_subnet_ids"])
  name     = "/${local.name}/basic/${each.key}"
}

data "aws_ssm_parameter" "app" {
  for_each = toset([
    "admin_key_secret_arn", "alb_request_count_label", "application_log_group", "audit_log_group", "blue_green_role_arn",
    "cache_password_secret_arn", "cache_url", "cache_user", "deployment_alarms", "drain_seconds", "encryption_url", "execution_role_arn", "listener_rule_arn",
    "oidc_client_secret_arn", "prometheus_url", "service_security_group_id", "store_url", "target_group_blue_arn", "target_group_green_arn", "task_role_arn", "web_acl_arn",
  ])
  name = "/${local.name}/app/${each.key}"
}

locals {
  name  = "${var.prefix}-${var.environment}"
  basic = { for key, parameter in data.aws_ssm_parameter.basic : key => parameter.insecure_value }
  app   = { for key, parameter in data.aws_ssm_parameter.app : key => parameter.insecure_value }
}
