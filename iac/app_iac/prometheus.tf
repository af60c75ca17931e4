# Optional: Amazon Managed Prometheus with the rules of `observability/`. The collector of deploy_iac writes to it.

resource "aws_prometheus_workspace" "default" {
  count       = var.prometheus ? 1 : 0
  alias       = local.name
  kms_key_arn = module.people_key.arn
}

resource "aws_prometheus_rule_group_namespace" "default" {
  for_each     = var.prometheus ? toset(["alerts", "recording"]) : toset([])
  name         = each.key
  workspace_id = aws_prometheus_workspace.default[0].id
  data         = file("${path.module}/../../observability/prometheus/${each.key}.yml")
}

# Alerts and CloudWatch alarms have the same recipients.
resource "aws_prometheus_alert_manager_definition" "default" {
  count        = var.prometheus ? 1 : 0
  workspace_id = aws_prometheus_workspace.default[0].id
  definition = yamlencode({ alertmanager_config = yamlencode({
    route = { receiver = "alarms", group_by = ["alertname"], group_wait = "30s", group_interval = "5m", repeat_interval = "4h" }
    receivers = [{
      name        = "alarms"
      sns_configs = [{ topic_arn = aws_sns_topic.alarms.arn, sigv4 = { region = var.region }, send_resolved = true }]
    }]
  }) })
  depends_on = [aws_sns_topic_policy.alarms]
}
