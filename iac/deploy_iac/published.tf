# What the workflows are told: which version runs, and where it is seen.

resource "aws_ssm_parameter" "published" {
  for_each = {
    image_version   = var.image_version
    service_name    = aws_ecs_service.default.name
    task_definition = aws_ecs_task_definition.default.arn
  }
  name           = "/${local.name}/deploy/${each.key}"
  type           = "String"
  insecure_value = each.value
}
