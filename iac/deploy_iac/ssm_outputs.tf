# What the workflows are told: the service, its task definition, and which image runs.

resource "aws_ssm_parameter" "published" {
  for_each = {
    service_name    = aws_ecs_service.default.name
    task_definition = aws_ecs_task_definition.default.arn
  }
  name           = "/${local.name}/deploy/${each.key}"
  type           = "String"
  insecure_value = each.value
}

# scripts/deploy writes the image once it has verified that it runs: an apply that ECS rolled back succeeds too.
resource "aws_ssm_parameter" "verified" {
  for_each = {
    image_version = "none"
  }
  name           = "/${local.name}/deploy/${each.key}"
  type           = "String"
  insecure_value = each.value
  lifecycle {
    ignore_changes = [insecure_value]
  }
}
