# One version of the image.

resource "aws_ecs_task_definition" "default" {
  family                   = "${local.name}-api"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.size.cpu
  memory                   = var.size.memory
  task_role_arn            = local.app["task_role_arn"]
  execution_role_arn       = local.app["execution_role_arn"]
  container_definitions    = jsonencode(concat([local.api], local.collector))

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }
  volume {
    name = "tmp" # imports and exports of any length pass through files
  }
}

locals {
  image = "${local.basic["ecr_repository_url"]}${startswith(var.image_version, "sha256:") ? "@" : ":"}${var.image_version}"

  hardened = {
    image                  = local.image
    essential              = true
    user                   = "10001:10001"
    readonlyRootFilesystem = true
    linuxParameters        = { initProcessEnabled = true, capabilities = { add = [], drop = ["ALL"] } }
    stopTimeout            = var.stop_seconds
    mountPoints = [
      { sourceVolume = "tmp", containerPath = "/tmp", readOnly = false },
    ]
    volumesFrom    = []
    systemControls = []
  }

  api = merge(local.hardened, {
    name         = "api"
    command      = ["serve"]
    portMappings = [{ name = "http", containerPort = local.port, hostPort = local.port, protocol = "tcp", appProtocol = "http" }]
    environment  = [for name, value in local.environment : { name = name, value = value }]
    secrets      = [for name, value in local.secrets : { name = name, valueFrom = value }]
    healthCheck = {
      command     = ["CMD", "python", "-m", "peopleinfo.healthcheck"]
      interval    = 10
      timeout     = 5
      retries     = 3
      startPeriod = 30
    }
    logConfiguration = merge(local.logged, { options = merge(local.logged.options, { awslogs-group = local.app["application_log_group"], awslogs-stream-prefix = "api" }) })
  })

  logged = {
    logDriver = "awslogs"
    options = {
      awslogs-region = var.region
      # When CloudWatch is slow, requests do not wait for lines of the log: beyond this much they are lost, which the docs say.
      mode            = "non-blocking"
      max-buffer-size = "25m"
    }
  }

  port = 3000

  environment = merge(
    {
      PEOPLEINFO_HOST          = "0.0.0.0"
      PEOPLEINFO_PORT          = tostring(local.port)
      PEOPLEINFO_STORE         = local.app["store_url"]
      PEOPLEINFO_CACHE         = local.app["cache_url"]
      PEOPLEINFO_CACHE_USER    = local.app["cache_user"]
      PEOPLEINFO_DRAIN_SECONDS = "5" # the balancer has stopped sending before a task is told to end
    },
    var.collector == null ? {} : {
      PEOPLEINFO_METRICS          = "open" # to the collector beside it; the firewall keeps /metrics from the internet
      OTEL_EXPORTER_OTLP_ENDPOINT = "http://127.0.0.1:4318"
      OTEL_SERVICE_NAME           = "${local.name}-api"
    },
    { for name, value in var.settings : "PEOPLEINFO_${upper(name)}" => value },
  )

  secrets = {
    PEOPLEINFO_ADMIN_KEY      = local.app["admin_key_secret_arn"]
    PEOPLEINFO_CACHE_PASSWORD = local.app["cache_password_secret_arn"]
  }
}
