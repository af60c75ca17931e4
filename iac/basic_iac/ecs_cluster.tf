resource "aws_ecs_cluster" "default" {
  name = local.name
  setting {
    name  = "containerInsights"
    value = var.container_insights
  }
  configuration {
    execute_command_configuration {
      kms_key_id = module.key.arn
      logging    = "OVERRIDE"
      log_configuration {
        cloud_watch_encryption_enabled = true
        cloud_watch_log_group_name     = aws_cloudwatch_log_group.exec.name
      }
    }
  }
}

resource "aws_ecs_cluster_capacity_providers" "default" {
  cluster_name       = aws_ecs_cluster.default.name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
  default_capacity_provider_strategy {
    capacity_provider = "FARGATE"
    weight            = 1
  }
}

# What is typed into a container by ECS Exec, which is off unless deploy_iac turns it on.
resource "aws_cloudwatch_log_group" "exec" {
  name              = "/${local.name}/exec"
  retention_in_days = 365
  kms_key_id        = module.key.arn
}
