# Two containers of one image: the service, and a sidecar that prints the audit events. The service writes them to a small
# shared volume, and the sidecar sends them to a separate log group.

resource "aws_ecs_task_definition" "default" {
  family                   = "${local.name}-api"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = local.size.cpu
  memory                   = local.size.memory
  task_role_arn            = local.app["task_role_arn"]
  execution_role_arn       = local.app["execution_role_arn"]
  skip_destroy             = true # IAM cannot limit ecs:DeregisterTaskDefinition to one environment
  container_definitions    = jsonencode(concat([local.api, local.audit], local.collector))

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }
  volume {
    name = "audit"
  }
  volume {
    name = "tmp" # imports and exports use temporary files
  }
  lifecycle {
    precondition {
      condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], local.size.cpu) && local.size.memory >= 2 * local.size.cpu && local.size.memory <= 8 * local.size.cpu
      error_message = "Fargate supports 256 to 16384 CPU units with 2 to 8 MiB of memory per unit: change `size`."
    }
    precondition {
      condition     = var.collector != null || local.app["prometheus_url"] == "none"
      error_message = "app_iac has a Prometheus workspace (prometheus = true) without a writer: set `collector`, or prometheus = false."
    }
    precondition {
      condition     = var.collector == null || local.app["web_acl_arn"] != "none"
      error_message = "With a collector the service serves /metrics without authentication, and the profile small has no firewall in front of it: set collector = null, or choose the profile standard."
    }
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
      { sourceVolume = "audit", containerPath = "/audit", readOnly = false },
      { sourceVolume = "tmp", containerPath = "/tmp", readOnly = false },
    ]
    volumesFrom    = []
    systemControls = []
  }

  api = merge(local.hardened, {
    name         = "api"
    command      = ["serve"]
    portMappings = [{ name = "http", containerPort = local.port, hostPort = local.port, protocol = "tcp", appProtocol = "http" }]
    # Containers stop in the opposite order, so the sidecar prints the audit events of the last requests.
    dependsOn   = [{ containerName = "audit", condition = "START" }]
    environment = [for name, value in local.environment : { name = name, value = value }]
    secrets     = [for name, value in local.secrets : { name = name, valueFrom = value }]
    healthCheck = {
      command     = ["CMD", "python", "-m", "peopleinfo.http.healthcheck"]
      interval    = 10
      timeout     = 5
      retries     = 3
      startPeriod = 30
    }
    logConfiguration = merge(local.logged, { options = merge(local.logged.options, { awslogs-group = local.app["application_log_group"], awslogs-stream-prefix = "api" }) })
  })

  audit = merge(local.hardened, {
    name         = "audit"
    command      = ["audit", "follow", local.audit_file, "--rotate-mb", "64"]
    portMappings = []
    environment  = []
    secrets      = []
    # Audit events must not be lost: while CloudWatch is slow, they stay in the file.
    logConfiguration = merge(local.logged, { options = { awslogs-region = var.region, awslogs-group = local.app["audit_log_group"], awslogs-stream-prefix = "audit", mode = "blocking" } })
  })

  logged = {
    logDriver = "awslogs"
    options = {
      awslogs-region = var.region
      # Requests do not wait for the log: while CloudWatch is slow, log lines beyond this buffer are lost, as the docs state.
      mode            = "non-blocking"
      max-buffer-size = "25m"
    }
  }

  port          = 3000
  drain_seconds = 15
  audit_file    = "/audit/audit.jsonl"

  environment = merge(
    {
      PEOPLEINFO_HOST      = "0.0.0.0"
      PEOPLEINFO_PORT      = tostring(local.port)
      PEOPLEINFO_STORE_URL = local.app["store_url"]
      PEOPLEINFO_AUDIT_LOG = "file://${local.audit_file}"
      # The load balancer appends the client address. Without this setting, rate limits and audit log see one address for all clients.
      PEOPLEINFO_TRUSTED_PROXIES = "1"
      # ECS deregisters a task from the load balancer (drain_seconds of app_iac) before it stops it. A Spot task is stopped at once,
      # so the service itself drains until the load balancer has noticed.
      PEOPLEINFO_DRAIN_SECONDS = tostring(local.drain_seconds)
    },
    local.app["cache_url"] == "none" ? {} : {
      PEOPLEINFO_CACHE_URL  = local.app["cache_url"]
      PEOPLEINFO_CACHE_USER = local.app["cache_user"]
    },
    var.encryption ? { PEOPLEINFO_ENCRYPTION = local.app["encryption_url"] } : {},
    var.collector == null ? {} : {
      OTEL_EXPORTER_OTLP_ENDPOINT = "http://127.0.0.1:4318"
      OTEL_SERVICE_NAME           = "${local.name}-api"
      PEOPLEINFO_METRICS_AUTH     = "none" # the collector has no key; the firewall blocks /metrics from the internet (app_iac: metrics_public)
    },
    { for name, value in var.settings : "PEOPLEINFO_${upper(name)}" => value },
  )

  secrets = merge(
    { PEOPLEINFO_ADMIN_KEY = local.app["admin_key_secret_arn"] },
    local.app["cache_password_secret_arn"] == "none" ? {} : { PEOPLEINFO_CACHE_PASSWORD = local.app["cache_password_secret_arn"] },
    local.app["oidc_client_secret_arn"] == "none" ? {} : { PEOPLEINFO_OIDC_CLIENT_SECRET = local.app["oidc_client_secret_arn"] },
  )
}
