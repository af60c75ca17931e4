# Parameters for the workflows: the service, its task definition and the running image.

resource "aws_ssm_parameter" "published" {
  for_each = {
    service_name    = aws_ecs_service.default.name
    task_definition = aws_ecs_task_definition.default.arn
  }
  name           = "/${local.name}/deploy/${each.key}"
  type           = "String"
  insecure_value = each.value
}

# scripts/deploy writes the image after it has verified the deployment: `apply` also succeeds when ECS rolled it back.
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
