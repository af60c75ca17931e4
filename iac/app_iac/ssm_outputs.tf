# Parameters for deploy_iac, eks_iac and the workflows.

resource "aws_ssm_parameter" "published" {
  for_each       = local.published
  name           = "/${local.name}/app/${each.key}"
  type           = "String"
  insecure_value = each.value
}

locals {
  published = {
    admin_key_secret_arn      = aws_secretsmanager_secret.admin_key.arn
    alb_request_count_label   = "${aws_lb.default.arn_suffix}/${aws_lb_target_group.default["blue"].arn_suffix}"
    alb_logs_bucket           = try(module.alb_logs[0].name, "none")
    application_log_group     = aws_cloudwatch_log_group.application.name
    audit_log_group           = aws_cloudwatch_log_group.audit.name
    blue_green_role_arn       = aws_iam_role.blue_green.arn
    cache_password_secret_arn = local.has_cache ? local.cache_password_arn : "none"
    certificate_arn           = coalesce(local.certificate_arn, "none")
    cache_security_group_id   = aws_security_group.cache.id
    cache_url                 = local.cache_url
    cache_user                = local.has_cache ? local.cache_user : "none"
    deployment_alarms         = join(",", [for key in ["errors", "unreachable"] : aws_cloudwatch_metric_alarm.default[key].alarm_name])
    drain_seconds             = tostring(local.drain_seconds)
    encryption_url            = "aws-kms://${module.sealing_key.arn}"
    execution_role_arn        = aws_iam_role.execution.arn
    listener_rule_arn         = aws_lb_listener_rule.service.arn
    oidc_client_secret_arn    = try(aws_secretsmanager_secret.oidc_client_secret[0].arn, "none")
    prometheus_url            = try("${trimsuffix(aws_prometheus_workspace.default[0].prometheus_endpoint, "/")}/api/v1/remote_write", "none")
    previews = jsonencode(!var.previews ? null : {
      admin_key_secret_arn = aws_secretsmanager_secret.preview_admin_key[0].arn
      domain               = var.endpoint.domain_name
      execution_role_arn   = aws_iam_role.preview["execution"].arn
      listener_arn         = aws_lb_listener.https[0].arn
      log_group            = aws_cloudwatch_log_group.preview[0].name
      repository_url       = aws_ecr_repository.preview[0].repository_url
      security_group_id    = aws_security_group.preview[0].id
      task_role_arn        = aws_iam_role.preview["task"].arn
    })
    service_security_group_id = aws_security_group.service.id
    store_url                 = "dynamodb://${var.region}/${module.people.table.name}"
    target_group_blue_arn     = aws_lb_target_group.default["blue"].arn
    target_group_green_arn    = aws_lb_target_group.default["green"].arn
    task_role_arn             = aws_iam_role.task.arn
    url                       = local.url
    web_acl_arn               = try(module.firewall[0].arn, "none")
  }
}

output "published" {
  description = "The parameters for deploy_iac and the workflows, by their names in the parameter store."
  value       = { for key, parameter in aws_ssm_parameter.published : parameter.name => parameter.insecure_value }
}

output "url" {
  description = "The URL of the service, available after deploy_iac."
  value       = local.url
}
