# A running branch with its own table, task and host name next to the environment, without access to its records, keys and secrets.

module "people" {
  source    = "../modules/people_table"
  name      = "${local.name}-preview-${local.preview}"
  protected = { from_deletion = false, recovery_days = 0 } # a preview contains generated data
}

resource "aws_ecs_task_definition" "default" {
  family                   = "${local.name}-preview-${local.preview}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  task_role_arn            = local.previews.task_role_arn
  execution_role_arn       = local.previews.execution_role_arn
  skip_destroy             = true # IAM cannot limit ecs:DeregisterTaskDefinition to one environment
  volume {
    name = "tmp"
  }
  container_definitions = jsonencode([{
    name                   = "api"
    image                  = var.image
    essential              = true
    command                = ["serve"]
    user                   = "10001:10001"
    readonlyRootFilesystem = true
    linuxParameters        = { initProcessEnabled = true, capabilities = { add = [], drop = ["ALL"] } }
    mountPoints            = [{ sourceVolume = "tmp", containerPath = "/tmp", readOnly = false }]
    volumesFrom            = []
    systemControls         = []
    portMappings           = [{ containerPort = 3000, hostPort = 3000, protocol = "tcp" }]
    healthCheck            = { command = ["CMD", "python", "-m", "peopleinfo.http.healthcheck"], interval = 10, timeout = 5, retries = 3, startPeriod = 30 }
    secrets                = [{ name = "PEOPLEINFO_ADMIN_KEY", valueFrom = local.previews.admin_key_secret_arn }]
    environment = [
      { name = "PEOPLEINFO_HOST", value = "0.0.0.0" },
      { name = "PEOPLEINFO_TRUSTED_PROXIES", value = "1" },
      { name = "PEOPLEINFO_STORE_URL", value = "dynamodb://${var.region}/${module.people.table.name}" },
    ]
    logConfiguration = {
      logDriver = "awslogs"
      options   = { awslogs-region = var.region, awslogs-group = local.previews.log_group, awslogs-stream-prefix = local.preview }
    }
  }])
}

resource "aws_ecs_service" "default" {
  name                  = "${local.name}-preview-${local.preview}"
  cluster               = local.basic["ecs_cluster_name"]
  task_definition       = aws_ecs_task_definition.default.arn
  desired_count         = 1
  launch_type           = "FARGATE"
  wait_for_steady_state = true
  network_configuration {
    subnets          = split(",", local.basic["private_subnet_ids"])
    security_groups  = [local.previews.security_group_id]
    assign_public_ip = false
  }
  load_balancer {
    container_name   = "api"
    container_port   = 3000
    target_group_arn = aws_lb_target_group.default.arn
  }
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
  depends_on = [aws_lb_listener_rule.default]
}

resource "aws_lb_target_group" "default" {
  name                 = "${local.name}-${local.preview}"
  vpc_id               = local.basic["vpc_id"]
  target_type          = "ip"
  protocol             = "HTTP"
  port                 = 3000
  deregistration_delay = 5
  health_check {
    path     = "/status/live"
    matcher  = "200"
    interval = 10
  }
}

resource "aws_lb_listener_rule" "default" {
  listener_arn = local.previews.listener_arn
  priority     = var.number
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.default.arn
  }
  condition {
    host_header {
      values = ["${local.preview}.${local.previews.domain}"]
    }
  }
}
