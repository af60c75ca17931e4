# Prometheus as a service of AWS, with the rules of `observability/`, when a variable says so. deploy_iac's collector writes to it.

resource "aws_prometheus_workspace" "default" {
  count       = var.prometheus == null ? 0 : 1
  alias       = local.name
  kms_key_arn = module.people_key.arn
}

resource "aws_prometheus_rule_group_namespace" "default" {
  for_each     = var.prometheus == null ? toset([]) : fileset(path.module, "${var.prometheus.rules}/*.y*ml")
  name         = trimsuffix(trimsuffix(basename(each.key), ".yaml"), ".yml")
  workspace_id = aws_prometheus_workspace.default[0].id
  data         = file("${path.module}/${each.key}")
}
