# Optional sidecar: the AWS OpenTelemetry collector. It scrapes /metrics within the task, where no load balancer mixes
# the tasks, writes to Amazon Managed Prometheus, and forwards traces to X-Ray.

locals {
  collector = [for image in var.collector[*].image : merge(local.hardened, {
    name             = "collector"
    image            = image
    essential        = false # the service continues without it
    command          = ["--config=env:AOT_CONFIG_CONTENT"]
    portMappings     = []
    mountPoints      = []
    environment      = [{ name = "AOT_CONFIG_CONTENT", value = yamlencode(local.collector_config) }]
    secrets          = []
    logConfiguration = merge(local.logged, { options = merge(local.logged.options, { awslogs-group = local.app["application_log_group"], awslogs-stream-prefix = "collector" }) })
  })]

  collector_config = {
    extensions = { sigv4auth = { region = var.region, service = "aps" } }
    receivers = {
      prometheus = { config = { scrape_configs = [{
        job_name        = "peopleinfo"
        scrape_interval = "15s"
        static_configs  = [{ targets = ["127.0.0.1:${local.port}"], labels = { environment = var.environment } }]
      }] } }
      otlp = { protocols = { http = { endpoint = "127.0.0.1:4318" } } }
    }
    processors = {
      resourcedetection = { detectors = ["env", "ecs"] }
      # The label `instance`: every task scrapes 127.0.0.1, so their series would be the same.
      "resource/instance" = { attributes = [{ key = "service.instance.id", from_attribute = "aws.ecs.task.arn", action = "upsert" }] }
      batch               = { timeout = "10s" }
    }
    exporters = {
      prometheusremotewrite = {
        endpoint                         = local.app["prometheus_url"]
        auth                             = { authenticator = "sigv4auth" }
        resource_to_telemetry_conversion = { enabled = true }
      }
      awsxray = { region = var.region }
    }
    service = {
      extensions = ["sigv4auth"]
      pipelines = {
        metrics = { receivers = ["prometheus"], processors = ["resourcedetection", "resource/instance", "batch"], exporters = ["prometheusremotewrite"] }
        traces  = { receivers = ["otlp"], processors = ["resourcedetection", "batch"], exporters = ["awsxray"] }
      }
    }
  }
}
