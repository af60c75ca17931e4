# Prometheus as a service of AWS, with the rules of `observability/`, when a variable says so. deploy_iac's collector writes to it.

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
